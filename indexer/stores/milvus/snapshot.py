"""Open one generation of an index in Milvus for reading, and search it by vectors and by words."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from cachetools import LRUCache

from echo_index.errors import IndexDamaged, IndexMissing, StoreError
from echo_index.indexer.catalog.records import LexicalQuery, SearchFilter, StoredChunk
from echo_index.indexer.stores.location import StoreLocation
from echo_index.indexer.stores.milvus.connection import MOST_ROWS, MilvusConnection, Row, connect
from echo_index.indexer.stores.milvus.documents import MilvusDocuments
from echo_index.indexer.stores.milvus.heads import Head, HeadContent, read_content, read_heads, visible
from echo_index.indexer.stores.milvus.layout import PASSAGE_FIELDS, VECTOR
from echo_index.indexer.stores.milvus.rows import in_list, stored_passage
from echo_index.indexer.stores.milvus.words import WordQuery, WordSearch

if TYPE_CHECKING:
    from echo_index.embeddings.vectors.vector_ops import Vectors
    from echo_index.indexer.generations.manifest import Manifest
    from echo_index.indexer.vectors.normalization import NormalizedQuery, VectorNormalization

_SETTLED_SECONDS = 10
"""After which all that a head names is seen without waiting for the server's newest writes: it lags by five seconds."""
_CACHED = 4096  # passages, of a few kilobytes each
_CANDIDATES_MORE = 20  # chunks that are fetched beyond those that are asked for, as the order of equal ones is open


class MilvusSnapshot:
    """The `IndexReader` of one generation of an index in Milvus. Thread-safe."""

    def __init__(
        self,
        location: StoreLocation,
        connection: MilvusConnection,
        head: Head,
        content: HeadContent,
        *,
        notice: Callable[[str], None],
    ) -> None:
        """Remember what to read; `notice` is told once if the server cannot rank by words."""
        self.location = location
        self.head = head
        self._connection = connection
        self._content = content
        self._notice: Callable[[str], None] | None = notice
        self._opened = time.monotonic()
        self._visible = visible(head, content.hidden, document="document")
        self.documents = MilvusDocuments(
            connection,
            head.edition,
            content.facts,
            visible(head, content.hidden, document="id"),
            self._visible,
            self._must_be_fresh,
        )
        self._words = WordSearch(connection, head.edition, self._visible, content.manifest.chunks, self._must_be_fresh)
        self._vectors: LRUCache[int, Vectors] = LRUCache(_CACHED)  # a row never changes
        self._chunks: LRUCache[int, StoredChunk] = LRUCache(_CACHED)
        self._conditions: LRUCache[SearchFilter, str] = LRUCache(16)
        self._lock = Lock()

    @property
    def manifest(self) -> Manifest:
        """How the generation was built."""
        return self._content.manifest

    @property
    def folder(self) -> None:
        """None: the files are on another machine."""
        return

    @property
    def normalization(self) -> VectorNormalization:
        """The normalization of the vectors, which are stored with it applied."""
        return self.manifest.normalizations.echo

    @property
    def ranks_words(self) -> bool:
        """Whether the server can rank by words; if not, this says so to the user once."""
        if not self.head.edition.ranks_words:
            with self._lock:
                told, self._notice = self._notice, None
            if told is not None:
                told(
                    f"Milvus {self._connection.version} cannot search by words, which needs version 2.5: hybrid search "
                    "goes by meaning alone."
                )
        return self.head.edition.ranks_words

    def is_newest(self) -> bool:
        """Return whether there is no newer generation.

        Raises:
            IndexMissing: there is no index any more.
        """
        return self._newest_head().number == self.head.number

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read one generation inside the `with` block.

        Raises:
            IndexDamaged: what was read may have been deleted meanwhile, as two newer generations were published.
        """
        try:
            yield
        except StoreError as error:
            if self._newest_head().oldest > self.head.number:
                raise self._outdated() from error
            raise
        if self._newest_head().oldest > self.head.number:
            raise self._outdated()

    def load_early(self) -> None:
        """Do nothing: the server holds the vectors."""

    def nearest(self, query: NormalizedQuery, *, k: int, where: SearchFilter) -> list[tuple[int, float]]:
        """Return (chunk id, cosine) of the `k` chunks nearest to a query that `normalization` has normalized."""
        return self._nearest(query.vector, k=k, where=self._condition(where))

    def neighbours(self, path: str, start: int, *, k: int, where: SearchFilter) -> list[tuple[int, float]] | None:
        """Return (chunk id, cosine) of the `k` chunks nearest to the one that begins at `start` in a document.

        The chunk itself and those that overlap it are excluded. Return None if no chunk begins there.
        """
        own = f"{self.documents.passages_of(path)} and"
        collection, fresh = self.head.edition.passages, self._must_be_fresh()
        found = self._connection.query(collection, f"{own} start == {start}", ["id", "stop"], fresh=fresh)
        if not found:
            return None
        stop = int(found[0]["stop"])
        overlapping = self._connection.query(
            collection, f"{own} start < {stop} and stop > {start}", ["id"], fresh=fresh
        )
        excluded = {int(row["id"]) for row in overlapping} | {int(found[0]["id"])}
        [vector] = self.chunk_vectors([int(found[0]["id"])])
        nearest = self._nearest(vector, k=k + len(excluded), where=self._condition(where))
        return [(identifier, cosine) for identifier, cosine in nearest if identifier not in excluded][:k]

    def relevance(self, cosine: float) -> float | None:
        """Return what the cosine of a chunk with a query means, see `RelevanceScale`; None if it is not known."""
        scale = self.manifest.normalizations.relevance
        return None if scale is None else scale.relevance(cosine, chunks=self.manifest.chunks)

    def chunk_vectors(self, ids: Sequence[int]) -> Vectors:
        """Return the normalized vectors of these chunks, unit rows (n, dimension).

        Raises:
            IndexDamaged: a chunk is not there any more.
        """
        if not len(ids):
            return np.empty((0, self.normalization.dimension), dtype=np.float32)
        with self._lock:
            known = {key: self._vectors[key] for key in ids if key in self._vectors}
        missing = [key for key in ids if key not in known]
        for row in self._rows(missing, ["id", VECTOR]):
            known[int(row["id"])] = np.asarray(row[VECTOR], dtype=np.float32)
        self._validate_found(ids, known)
        with self._lock:
            self._vectors.update(known)
        return np.stack([known[key] for key in ids])

    def matching(self, query: LexicalQuery, *, k: int, where: SearchFilter) -> list[tuple[int, float]]:
        """Return (chunk id, BM25 score) of the `k` best matches of a full-text query, best first."""
        if not self.ranks_words:
            return []
        return self._words.best(WordQuery.of(query, self.languages()), k=k, where=self._condition(where))

    def scores(self, query: LexicalQuery, ids: Sequence[int]) -> dict[int, float]:
        """Return the BM25 score of each of these chunks for a full-text query, 0 for chunks that do not match."""
        if not self.ranks_words:
            return dict.fromkeys(ids, 0.0)
        return self._words.scores(WordQuery.of(query, self.languages()), ids)

    def languages(self) -> list[str]:
        """Return the Snowball names of the documents' languages, English first."""
        return self._content.facts.languages

    def stored_chunks(self, ids: Sequence[int]) -> dict[int, StoredChunk]:
        """Return the chunks with these ids, by id.

        Raises:
            IndexDamaged: a chunk is not there any more.
        """
        with self._lock:
            known = {key: self._chunks[key] for key in ids if key in self._chunks}
        for row in self._rows([key for key in ids if key not in known], PASSAGE_FIELDS):
            known[int(row["id"])] = stored_passage(row)
        self._validate_found(ids, known)
        with self._lock:
            self._chunks.update(known)
        return known

    def _nearest(self, vector: Vectors, *, k: int, where: str) -> list[tuple[int, float]]:
        edition = self.head.edition
        hits = self._connection.search(
            edition.passages,
            vector,
            by=VECTOR,
            k=k + _CANDIDATES_MORE,
            where=where,
            fields=["path", "start", VECTOR],
            parameters=edition.search_parameters,
            fresh=self._must_be_fresh(),
        )
        vectors = {identifier: np.asarray(row[VECTOR], dtype=np.float32) for identifier, _, row in hits}
        with self._lock:
            self._vectors.update(vectors)
        # Equal ones are in the order of the documents, as in a folder that was indexed at once.
        ranked = sorted(hits, key=lambda hit: (-hit[1], hit[2]["path"], hit[2]["start"]))
        return [(identifier, cosine) for identifier, cosine, _ in ranked[:k]]

    def _rows(self, ids: Sequence[int], fields: Sequence[str]) -> Iterator[Row]:
        for start in range(0, len(ids), MOST_ROWS):
            part = ids[start : start + MOST_ROWS]
            yield from self._connection.query(
                self.head.edition.passages, in_list("id", part), fields, fresh=self._must_be_fresh()
            )

    def _condition(self, where: SearchFilter) -> str:
        with self._lock:
            known = self._conditions.get(where)
        if known is None:
            known = self.documents.condition(where)
            with self._lock:
                self._conditions[where] = known
        return known

    def _must_be_fresh(self) -> bool:
        """Return whether reads must wait for the newest writes, to see all that the head names."""
        return time.monotonic() - self._opened < _SETTLED_SECONDS

    def _newest_head(self) -> Head:
        heads = read_heads(self._connection, self.location.name, fresh=self._must_be_fresh())
        if not heads:
            raise _missing(self.location)
        return heads[0]

    def _validate_found(self, ids: Sequence[int], found: Collection[int]) -> None:
        if any(key not in found for key in ids):
            raise IndexDamaged(f"A passage of the index in {self.location} is not there any more.")

    def _outdated(self) -> IndexDamaged:
        return IndexDamaged(
            f"{self.location} no longer holds generation {self.head.generation}.", remedy="Open the index again."
        )


def open_milvus_snapshot(
    location: StoreLocation, *, notice: Callable[[str], None] = lambda line: None
) -> MilvusSnapshot:
    """Open the newest generation of an index in Milvus.

    Raises:
        IndexMissing: no index of this name was published there.
        IndexMismatch: a later version of echo-index has published it.
        IndexDamaged: what describes the index is not whole.
        StoreError: the server cannot be reached.
        MissingPackage: pymilvus is not installed.
    """
    if location.is_file and not Path(location.uri).exists():
        raise _missing(location)
    connection = connect(location)
    if not connection.has(location.name):
        raise _missing(location)
    while True:
        heads = read_heads(connection, location.name)
        if not heads:
            raise _missing(location)
        try:
            content = read_content(connection, location.name, heads[0], place=Path(str(location)))
        except IndexDamaged:
            if read_heads(connection, location.name)[:1] == heads[:1]:
                raise
            continue  # a newer generation was published meanwhile
        return MilvusSnapshot(location, connection, heads[0], content, notice=notice)


def _missing(location: StoreLocation) -> IndexMissing:
    return IndexMissing(
        f"There is no index in {location}.", remedy=f"Publish one: echo-index build FOLDER --store '{location}'"
    )
