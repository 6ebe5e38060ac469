"""Whether a faster precision gives nearly the same embeddings, measured on a sample. Knows no model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.resources import files

import numpy as np

from echo_index.embeddings.runtime.cache import cache_folder, write_cached
from echo_index.embeddings.vectors.vector_ops import Vectors

MIN_FIDELITY = 0.99
"""The least mean centred cosine at which a faster precision is taken by itself."""


def centered_cosines(vectors: Vectors, others: Vectors) -> np.ndarray:
    """Return the cosine of each pair of rows after each set's own mean is removed: float32 (n).

    Embeddings of one model point much the same way, so that plain cosines hide what a precision damages.
    """
    one, two = vectors - vectors.mean(axis=0), others - others.mean(axis=0)
    cosines: np.ndarray = (one * two).sum(axis=1) / (np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1))
    return cosines


def sample_texts() -> list[str]:
    """Return some texts of many kinds, a line each in sample.txt."""
    return (files("echo_index.embeddings.decoder") / "sample.txt").read_text(encoding="utf-8").splitlines()


def cached_fidelity(fingerprint: str, measure: Callable[[Sequence[str]], np.ndarray]) -> float:
    """Return the mean centred cosine that `measure` finds on the sample, measured once for each fingerprint."""
    path = cache_folder() / "fidelity" / f"{fingerprint}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):  # not there, or damaged
        return float(json.loads(path.read_text(encoding="utf-8"))["mean"])
    cosines = measure(sample_texts())
    figures = {"mean": float(cosines.mean()), "least": float(cosines.min()), "texts": len(cosines)}
    with suppress(OSError):  # a cache that cannot be written: measured again next time
        write_cached(path, lambda file: file.write_text(json.dumps(figures), encoding="utf-8"))
    return figures["mean"]
