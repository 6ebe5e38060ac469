"""Vectors that were made once are kept in a folder, by their texts. Knows no model: who asks says what makes them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from echo_index.embeddings.runtime.atomic_write import replace_file
from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.errors import IndexUnwritable

Embed = Callable[[Sequence[str]], Vectors]
_BLOCK = 64  # texts are kept so many at a time: an interruption costs no more


@dataclass(frozen=True, eq=False)
class CachedVectors:
    """Vectors (n, ...) of texts, in their order, and the seconds that each took when it was made, on average."""

    vectors: Vectors
    seconds_per_text: float


def cached_vectors(
    folder: Path, texts: Sequence[str], embed: Embed, *, progress: Callable[[int, int], None]
) -> CachedVectors:
    """Return the vectors of texts; those that are not in the folder yet are made, each once, and kept there.

    A folder is for one way of embedding. `progress` is told how many of the missing ones are made, of how many.

    Raises:
        IndexUnwritable: nothing can be written to the folder.
    """
    known, seconds = _read(folder)
    keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
    waiting = sorted(missing, key=lambda key: len(missing[key]))  # texts of like length make full batches
    for start in range(0, len(waiting), _BLOCK):
        block = waiting[start : start + _BLOCK]
        began = time.perf_counter()
        vectors = embed([missing[key] for key in block])
        took = time.perf_counter() - began
        _write(folder, block, vectors, took)
        known.update(zip(block, vectors, strict=True))
        seconds += took
        progress(start + len(block), len(waiting))
    return CachedVectors(np.stack([known[key] for key in keys]), seconds / len(known))


def _read(folder: Path) -> tuple[dict[str, Vectors], float]:
    known: dict[str, Vectors] = {}
    seconds = 0.0
    for path in folder.glob("*.npz"):
        with suppress(BadZipFile, KeyError, ValueError, EOFError), np.load(path) as part:  # damaged: embedded again
            known.update(zip(part["keys"].tolist(), part["vectors"], strict=True))
            seconds += float(part["seconds"])
    return known, seconds


def _write(folder: Path, keys: Sequence[str], vectors: Vectors, seconds: float) -> None:
    name = hashlib.sha256("".join(keys).encode()).hexdigest()[:16]

    def write(unfinished: Path) -> None:
        with unfinished.open("wb") as file:  # NumPy would add a suffix to a path
            np.savez(file, keys=np.array(keys), vectors=vectors, seconds=seconds)

    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / f"{name}.npz", write)
    except OSError as error:
        raise IndexUnwritable(
            f"{folder} cannot be written: {error.strerror}.", remedy="Name another folder with --work."
        ) from None
