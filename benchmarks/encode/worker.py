"""The process of one row: stays loaded and embeds a corpus whenever it is told to.

One line of JSON in, one out. First a Setting, answered by {"about", "tokens"}; then {"corpus", "save"} again and again,
answered by {"seconds"}; whatever goes wrong is answered by {"error"}.
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

_WARM_UP = 2  # texts of each corpus


class Engine(Protocol):
    """What every row is made of."""

    about: str
    """The packages and the precision, in a few words."""

    def tokens(self, texts: Sequence[str]) -> int:
        """Count the tokens that are read of these texts."""

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32] | None:
        """Return one vector a text, or None from what embeds nothing."""


def main() -> None:
    """Answer each line of standard input, until it ends."""
    # Some packages print; only answers may come out here.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        setting = Setting(**json.loads(sys.stdin.readline()))
        engine = open_engine(setting)
        for texts in setting.corpora.values():
            engine.encode(texts[:_WARM_UP])
        tokens = {name: engine.tokens(texts) for name, texts in setting.corpora.items()}
        _say(answers, {"about": engine.about, "tokens": tokens})
        for line in sys.stdin:
            request = json.loads(line)
            _say(answers, {"seconds": _run(engine, setting.corpora[request["corpus"]], request["save"])})
    except Exception as error:  # noqa: BLE001 - every row may fail in its own way, and none may take the others along
        first = str(error).strip().splitlines()
        _say(answers, {"error": f"{type(error).__name__}: {first[0] if first else 'no reason given'}"})


def open_engine(setting: Setting) -> Engine:
    """Load what the row needs, and only that: no interpreter has everything."""
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


def _say(answers: IO[str], answer: dict[str, object]) -> None:
    print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
