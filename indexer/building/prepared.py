"""What was read and embedded ahead of a build."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from echo_index.embeddings.vectors.paired_embeddings import EmbeddingPair
from echo_index.indexer.building.passage_sink import PassageParts
from echo_index.indexer.catalog.records import ChunkRow, DocumentRow
from echo_index.indexer.sandbox.document_reader import ReadFile
from echo_index.indexer.sources.scanner import FoundFile


@dataclass(frozen=True, slots=True)
class ReadPassages:
    """A file that was read and cut into chunks: the rows of the catalog."""

    row: DocumentRow
    chunks: Sequence[ChunkRow]


class Prepared(Protocol):
    """What an engine has read and embedded ahead of a build, which reads and embeds all that is missing here."""

    @property
    def passages(self) -> PassageParts | None:
        """The parts from which passages are published, where a store has them alone; None if they go to the catalog."""

    def find(self, file: FoundFile, path: str) -> ReadPassages | ReadFile | None:
        """Return a file under its stored path as it was read; None if it was not, or has changed since then.

        A ReadFile without document and failure has the hash that the catalog knows.
        """

    def vectors(self, hashes: Sequence[bytes]) -> tuple[Sequence[int], EmbeddingPair]:
        """Return the positions of the text hashes that have vectors, and these vectors, in this order."""


class _Nothing:
    """Nothing is prepared: everything is read and embedded here."""

    passages = None

    def find(self, file: FoundFile, path: str) -> ReadPassages | ReadFile | None:
        return None

    def vectors(self, hashes: Sequence[bytes]) -> tuple[Sequence[int], EmbeddingPair]:
        return [], _NO_VECTORS


_NO_VECTORS = EmbeddingPair(np.empty((0, 0), dtype=np.float32), None)
NOTHING: Prepared = _Nothing()
