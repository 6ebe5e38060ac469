"""Process of one row: loads the engine once and embeds a corpus on request.

Each request and response is one line of JSON. The first request is a Setting, answered by {"about", "tokens"}; the
others are {"corpus", "save"}, answered by {"seconds"}. Errors are answered by {"error"}.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Protocol

import numpy as np
import numpy.typing as npt

from benchmarks.encode.rows import FP32_PEAK, INT8_PEAK, PLAIN, Setting

_WARM_UP = 2  # texts of each corpus that are embedded before timing


class Engine(Protocol):
    """Engine of a row."""

    about: str
    """Packages and precision."""

    def tokens(self, texts: Sequence[str]) -> int:
        """Count the input tokens of these texts."""

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32] | None:
        """Return one vector for each text; None if the engine does not embed."""


def main() -> None:
    """Answer each line of standard input."""
    # Some packages print to standard output; only responses may go there.
    responses = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        setting = Setting(**json.loads(sys.stdin.readline()))
        engine = open_engine(setting)
        for texts in setting.corpora.values():
            engine.encode(texts[:_WARM_UP])
        tokens = {name: engine.tokens(texts) for name, texts in setting.corpora.items()}
        _respond(responses, {"about": engine.about, "tokens": tokens})
        for line in sys.stdin:
            request = json.loads(line)
            _respond(responses, {"seconds": _run(engine, setting.corpora[request["corpus"]], request["save"])})
    except Exception as error:  # noqa: BLE001 - a row may fail in any way; the others must go on
        lines = str(error).strip().splitlines()
        _respond(responses, {"error": f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"})


def open_engine(setting: Setting) -> Engine:
    """Load the engine of a row; imports are local, as no interpreter has all packages."""
    if setting.row in ("sentence-transformers", "llama.cpp", "minilm"):
        return _open_peer(setting)
    import torch

    torch.set_num_threads(setting.threads)
    from benchmarks.encode.engines import OurEngine, Peak, PlainEngine

    match setting.row:
        case "ours-fp32":
            return OurEngine(setting.model, precision="fp32")
        case "ours-bf16":
            return OurEngine(setting.model, precision="bf16")
        case "ours-int8":
            return OurEngine(setting.model, precision="int8")
        case row if row == PLAIN:
            return PlainEngine(setting.model, Path(setting.folder))
        case row if row == FP32_PEAK:
            return Peak("fp32")
        case row if row == INT8_PEAK:
            return Peak("int8")
        case row:
            raise ValueError(f"there is no row {row}")


def _open_peer(setting: Setting) -> Engine:
    from benchmarks.encode.peers import LlamaEngine, SentenceTransformersEngine, minilm_folder

    match setting.row:
        case "llama.cpp":
            return LlamaEngine(setting.gguf, threads=setting.threads)
        case "minilm":
            return SentenceTransformersEngine(setting.minilm or minilm_folder())
        case _:
            return SentenceTransformersEngine(setting.folder)


def _run(engine: Engine, texts: Sequence[str], save: str | None) -> float:
    started = time.perf_counter()
    vectors = engine.encode(texts)
    seconds = time.perf_counter() - started
    if save is not None and vectors is not None:
        np.save(save, vectors)
    return seconds


def _respond(responses: IO[str], response: dict[str, object]) -> None:
    print(json.dumps(response), file=responses, flush=True)


if __name__ == "__main__":
    main()
