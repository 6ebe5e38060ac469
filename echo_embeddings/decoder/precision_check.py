"""How close the embeddings of a faster precision are to those of float32, measured on a sample of texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np

from echo_index.embeddings.runtime.cache import get_or_make
from echo_index.embeddings.vectors.vector_ops import Vectors

MIN_FIDELITY = 0.99
"""The least mean centered cosine at which "auto" takes a faster precision."""


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


def _figures(measure: Callable[[Sequence[str]], np.ndarray]) -> dict[str, float]:
    cosines = measure(sample_texts())
    return {"mean": float(cosines.mean()), "least": float(cosines.min()), "texts": len(cosines)}


def _read_figures(path: Path) -> dict[str, float]:
    return {"mean": float(json.loads(path.read_text(encoding="utf-8"))["mean"])}


def _write_figures(path: Path, figures: dict[str, float]) -> None:
    path.write_text(json.dumps(figures), encoding="utf-8")
