"""How close the embeddings of a faster precision are to those of float32, and how fast: measured on sample texts."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch

from echo_index.embeddings.decoder.linear import Precision, bfloat16_is_fast, int8_is_fast
from echo_index.embeddings.runtime.cache import cache_key, get_or_make
from echo_index.embeddings.vectors.vector_ops import Vectors

MIN_FIDELITY = 0.99
"""The least mean centered cosine at which "auto" takes a faster precision."""

_ROUNDS = 3
_CLEARLY_FASTER = 0.9  # of the time; for a smaller gain "auto" keeps the more exact precision
_WORTHWHILE = 0.01  # seconds saved with half of the sample; less is noise, of a model that takes no time anyway
_RATES_FORMAT = 1


def centered_cosines(vectors: Vectors, others: Vectors) -> np.ndarray:
    """Return the cosine of each pair of rows after the mean of each set is subtracted: float32 (n,).

    All embeddings of a model have a large component in common, so plain cosines hide what a precision damages.
    """
    one, two = vectors - vectors.mean(axis=0), others - others.mean(axis=0)
    cosines: np.ndarray = (one * two).sum(axis=1) / (np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1))
    return cosines


def sample_texts() -> list[str]:
    """Return the lines of sample.txt: texts of many kinds."""
    return (files("echo_index.embeddings.decoder") / "sample.txt").read_text(encoding="utf-8").splitlines()


def cached_fidelity(fingerprint: str, measure: Callable[[Sequence[str]], np.ndarray]) -> float:
    """Return the mean of the centered cosines that `measure` returns for the sample, cached by fingerprint."""
    return get_or_make(
        "fidelity", f"{fingerprint}.json", read=_read_figures, make=lambda: _figures(measure), write=_write_figures
    )["mean"]


def native_precisions(device: str = "cpu") -> list[Precision]:
    """Return the precisions that the device multiplies faster than float32, the more exact first."""
    if device != "cpu":
        return [Precision.BF16] if torch.cuda.is_bf16_supported(including_emulation=False) else []
    fast = {Precision.BF16: bfloat16_is_fast(), Precision.INT8: int8_is_fast()}
    return [precision for precision, is_fast in fast.items() if is_fast]


def cached_seconds(
    model: str, encode: Mapping[Precision, Callable[[Sequence[str]], object]], *, device: str = "cpu"
) -> dict[Precision, float]:
    """Return the seconds in which each function embeds half of the sample, cached for a model on this device.

    Other programs only ever make it slower: so the precisions take turns, and the best time of each counts.
    """
    seconds = get_or_make(
        "rates",
        f"{cache_key(model, _machine(device), *encode)}-{_RATES_FORMAT}.json",
        read=lambda path: _read_seconds(path, encode),
        make=lambda: _seconds(encode),
        write=lambda path, value: path.write_text(json.dumps(value), encoding="utf-8"),
    )
    return {precision: seconds[precision.value] for precision in encode}


def clearly_fastest(seconds: Mapping[Precision, float]) -> Precision:
    """Return the fastest precision, of those that take nearly as long the first: the most exact ones come first."""
    best, *others = seconds
    for precision in others:
        saved = seconds[best] - seconds[precision]
        if seconds[precision] <= _CLEARLY_FASTER * seconds[best] and saved >= _WORTHWHILE:
            best = precision
    return best


def _machine(device: str) -> str:
    if device != "cpu":
        return f"{torch.cuda.get_device_name()} {torch.__version__}"
    capabilities = sorted(torch.cpu.get_capabilities().items())
    return f"{platform.machine()} {platform.processor()} {capabilities} {torch.get_num_threads()} {torch.__version__}"


def _seconds(encode: Mapping[Precision, Callable[[Sequence[str]], object]]) -> dict[str, float]:
    texts = sample_texts()[::2]
    best = {precision.value: float("inf") for precision in encode}
    for number in range(_ROUNDS + 1):
        for precision, embed in encode.items():
            began = time.perf_counter()
            embed(texts)
            if number:  # the first time, the matrices are made
                best[precision.value] = min(best[precision.value], time.perf_counter() - began)
    return best


def _read_seconds(path: Path, encode: Mapping[Precision, object]) -> dict[str, float]:
    stored = json.loads(path.read_text(encoding="utf-8"))
    return {precision.value: float(stored[precision.value]) for precision in encode}


def _figures(measure: Callable[[Sequence[str]], np.ndarray]) -> dict[str, float]:
    cosines = measure(sample_texts())
    return {"mean": float(cosines.mean()), "least": float(cosines.min()), "texts": len(cosines)}


def _read_figures(path: Path) -> dict[str, float]:
    return {"mean": float(json.loads(path.read_text(encoding="utf-8"))["mean"])}


def _write_figures(path: Path, figures: dict[str, float]) -> None:
    path.write_text(json.dumps(figures), encoding="utf-8")
