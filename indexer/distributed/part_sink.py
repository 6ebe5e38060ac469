"""Parts as the way of passages to a store: what a build reads is embedded into parts, and published from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from echo_index.errors import StoreError
from echo_index.indexer.catalog.exchange_rows import PassageBlock
from echo_index.indexer.catalog.outside_documents import current_outside
from echo_index.indexer.catalog.outside_passages import OutsidePassages
from echo_index.indexer.distributed.hash_set import hash_set
from echo_index.indexer.distributed.part_table import WorkedDocument
from echo_index.indexer.distributed.workers import PART_CHUNKS, embed_passages, write_part

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.indexer.catalog.catalog import Catalog
    from echo_index.indexer.catalog.records import ChunkRow, DocumentRow
    from echo_index.indexer.distributed.part_index import PartIndex
    from echo_index.indexer.distributed.part_store import PartStore
    from echo_index.indexer.distributed.work import WorkSettings


class PartSink:
    """The `PassageParts` of a build. What no node has embedded is embedded on this machine.

    The catalog gets the documents, and the keys of their parts.
    """

    def __init__(
        self, catalog: Catalog, settings: WorkSettings, store: PartStore, index: PartIndex, encoder: EchoEncoder
    ) -> None:
        self._catalog = catalog
        self._settings = settings
        self._store = store
        self._index = index
        self._encoder = encoder
        self._waiting: list[tuple[WorkedDocument, int]] = []
        self.count = 0

    def put(self, row: DocumentRow, chunks: Sequence[ChunkRow], *, generation: int) -> None:
        """Add a version of a document. If it has passages that are in no part, it is added by `flush`.

        Until then the catalog does not know it, so that an interrupted build reads it again.
        """
        self.count += len(chunks)
        document = WorkedDocument(self._key(row), row, tuple(chunks))
        if not chunks or self._index.holds(document.key):
            self._add(document, generation)
            return
        self._waiting.append((document, generation))
        if sum(len(waiting.chunks) for waiting, _ in self._waiting) >= PART_CHUNKS:
            self.flush()

    def holds(self, known: DocumentRow, chunks: Sequence[ChunkRow], *, generation: int) -> bool:
        """Return whether these are the passages that were read of the known document with the same readers."""
        stored = current_outside(self._catalog, known.path)
        if stored is None:
            return not chunks
        return (stored.key, stored.count) == (self._key(known), len(chunks))

    def flush(self) -> None:
        """Embed what was put and is in no part yet, write it as a part, and add it to the catalog."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        documents = [document for document, _ in waiting]
        vectors = embed_passages(documents, self._encoder, self._settings, known=hash_set(()))
        write_part(self._store, documents, vectors)
        self._index.refresh()
        for document, generation in waiting:
            self._add(document, generation)

    def blocks(self, documents: Sequence[tuple[DocumentRow, str]]) -> Iterator[PassageBlock]:
        """Yield the passages of documents, given with the keys of their parts, with their vectors.

        Raises:
            StoreError: a part is gone.
        """
        for row, key in documents:
            yield self._block(key, row)

    def sample(self, keys: Sequence[str], *, most: int) -> Iterator[PassageBlock]:
        """Yield the passages of some documents, given by their keys, until there are `most`."""
        count = 0
        for key in keys:
            if count >= most:
                return
            block = self._block(key, None)
            taken = min(len(block.chunks), most - count)
            count += taken
            yield PassageBlock(
                # Two documents may have had one path one after the other, when their parts were written.
                [replace(block.documents[0], path=key)] * taken,
                block.chunks[:taken],
                block.vectors[:taken],
                block.classical[:taken],
                block.has_classical[:taken],
            )

    def _add(self, document: WorkedDocument, generation: int) -> None:
        size = sum(len(chunk.text.encode()) for chunk in document.chunks)
        passages = OutsidePassages(len(document.chunks), size, document.key) if document.chunks else None
        self._catalog.put_outside_document(document.row, passages, generation=generation)

    def _key(self, row: DocumentRow) -> str:
        return self._settings.document_key(row.hash, PurePosixPath(row.path).name)

    def _block(self, key: str, row: DocumentRow | None) -> PassageBlock:
        found = self._index.find(key)
        known, chunks = found or (row, [])
        positions, pairs = self._index.vectors([chunk.hash for chunk in chunks])
        if known is None or not chunks or len(positions) != len(chunks):
            raise StoreError(
                f"The passages of {'a document' if row is None else row.path} are neither in the store nor in a part.",
                remedy="Read and embed all documents again: echo-index build --rebuild",
            )
        return PassageBlock(
            [row or known] * len(chunks),
            chunks,
            pairs.echo,
            np.zeros_like(pairs.echo),
            np.zeros(len(chunks), dtype=bool),
        )
