"""Find documents by their keys and vectors by the hashes of their texts in all parts of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache

import numpy as np

from echo_index.embeddings.vectors.paired_embeddings import EmbeddingPair
from echo_index.errors import EngineError
from echo_index.indexer.catalog.records import ChunkRow, DocumentRow
from echo_index.indexer.distributed.hash_set import Prefixes, hash_set, prefixes
from echo_index.indexer.distributed.part_store import PartStore
from echo_index.indexer.distributed.part_table import Part, PassageVectors
from echo_index.indexer.exchange.passage_rows import WrongVector

_OPEN = 4  # parts kept in memory: documents come in the order in which they were distributed
_THREADS = 16  # that read parts from a place that may be far away


class PartIndex:
    """What is in the parts of a folder. Parts that are damaged are deleted, as if they had never been made."""

    def __init__(self, store: PartStore, *, dimension: int, context: str) -> None:
        self._store = store
        self._dimension = dimension
        self._context = context
        self._names: list[str] = []
        self._documents: dict[str, int] = {}
        self._prefixes: list[Prefixes] = []
        self._rows: list[np.ndarray] = []
        self._sorted: tuple[Prefixes, np.ndarray, np.ndarray] | None = None
        self._open = lru_cache(_OPEN)(self._load)

    def refresh(self) -> None:
        """Read what is in the parts that are new since the last call.

        Raises:
            EngineError: the folder cannot be read.
        """
        known = {*self._names}
        new = [name for name in self._store.names() if name not in known]
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="parts") as threads:
            for name, part in zip(new, threads.map(self._describe, new), strict=True):
                if part is not None:
                    self._add(name, part)

    def keys(self) -> Prefixes:
        """Return the set of the keys of all documents."""
        return hash_set(bytes.fromhex(key) for key in self._documents)

    def holds(self, key: str) -> bool:
        """Return whether a document with this key is in a part."""
        return key in self._documents

    def find(self, key: str) -> tuple[DocumentRow, list[ChunkRow]] | None:
        """Return the document of a key with its chunks, as it was when the part was written; None if there is none."""
        number = self._documents.get(key)
        if number is None:
            return None
        with suppress(ValueError, EngineError, WrongVector):  # it is gone or damaged by now
            return self._open(number)[0].document(key, context=self._context)
        return None

    def vectors(self, hashes: Sequence[bytes]) -> tuple[list[int], EmbeddingPair]:
        """Return the positions of the text hashes that have vectors in a part, and these vectors."""
        known, numbers, rows = self._sorted_prefixes()
        wanted = prefixes(hashes)
        places = np.minimum(np.searchsorted(known, wanted), max(len(known) - 1, 0))
        found = np.flatnonzero(known[places] == wanted) if len(known) else np.empty(0, dtype=np.int64)
        positions: list[int] = []
        pairs: list[tuple[np.ndarray, np.ndarray | None]] = []
        for position in found.tolist():
            number, row = int(numbers[places[position]]), int(rows[places[position]])
            with suppress(ValueError, EngineError, WrongVector):
                part, vectors = self._open(number)
                if part.hashes[row] == hashes[position]:
                    pairs.append((vectors.vectors[row], None if vectors.classical is None else vectors.classical[row]))
                    positions.append(position)
        classical = [pair[1] for pair in pairs if pair[1] is not None]
        echo = np.array([pair[0] for pair in pairs], dtype=np.float32).reshape(-1, self._dimension)
        return positions, EmbeddingPair(echo, np.array(classical, dtype=np.float32) if classical else None)

    def _describe(self, name: str) -> Part | None:
        try:
            with self._store.open(name) as file:
                return Part(file, whole=False)
        except ValueError:
            with suppress(EngineError):
                self._store.delete(name)
            return None

    def _add(self, name: str, part: Part) -> None:
        number = len(self._names)
        self._names.append(name)
        for key in part.places:
            self._documents.setdefault(key, number)
        rows = np.flatnonzero(part.present)
        self._prefixes.append(prefixes(part.hashes[row] for row in rows))
        self._rows.append(rows.astype(np.int32))
        self._sorted = None

    def _sorted_prefixes(self) -> tuple[Prefixes, np.ndarray, np.ndarray]:
        """Return all prefixes in order, and for each the number of its part and its row; the first of equal ones."""
        if self._sorted is None:
            counts = [len(part) for part in self._prefixes]
            all_prefixes = np.concatenate([np.empty(0, dtype=np.uint64), *self._prefixes])
            unique, first = np.unique(all_prefixes, return_index=True)
            numbers = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
            rows = np.concatenate([np.empty(0, dtype=np.int32), *self._rows])
            self._sorted = unique, numbers[first], rows[first]
        return self._sorted

    def _load(self, number: int) -> tuple[Part, PassageVectors]:
        with self._store.open(self._names[number]) as file:
            part = Part(file, whole=True)
        return part, part.vectors(self._dimension)
