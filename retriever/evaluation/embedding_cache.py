"""Cache embeddings in a folder, by the hashes of their texts."""

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
_BLOCK = 64  # texts per file: an interruption loses at most one block


@dataclass(frozen=True, eq=False)
class CachedVectors:
    """Vectors (n, ...) in the order of the texts, and the mean seconds of embedding one of them."""

    vectors: Vectors
    seconds_per_text: float


def cached_vectors(
    folder: Path, texts: Sequence[str], embed: Embed, *, progress: Callable[[int, int], None]
) -> CachedVectors:
    """Return the vectors of texts; those that are not in the folder yet are computed and written to it.

    Use one folder for each encoder and prompt. `progress` gets the number of computed vectors and their total.

    Raises:
        IndexUnwritable: the folder cannot be written.
    """
    known, seconds = _read_blocks(folder)
    keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
    ordered = sorted(missing, key=lambda key: len(missing[key]))  # texts of similar length make full batches
    for start in range(0, len(ordered), _BLOCK):
        block = ordered[start : start + _BLOCK]
        began = time.perf_counter()
        vectors = embed([missing[key] for key in block])
        elapsed = time.perf_counter() - began
        _write_block(folder, block, vectors, elapsed)
        known.update(zip(block, vectors, strict=True))
        seconds += elapsed
        progress(start + len(block), len(ordered))
    return CachedVectors(np.stack([known[key] for key in keys]), seconds / len(known))


def _read_blocks(folder: Path) -> tuple[dict[str, Vectors], float]:
    known: dict[str, Vectors] = {}
    seconds = 0.0
    for path in folder.glob("*.npz"):
        with suppress(BadZipFile, KeyError, ValueError, EOFError), np.load(path) as arrays:  # damaged files are ignored
            known.update(zip(arrays["keys"].tolist(), arrays["vectors"], strict=True))
            seconds += float(arrays["seconds"])
    return known, seconds


def _write_block(folder: Path, keys: Sequence[str], vectors: Vectors, seconds: float) -> None:
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
