"""Search an index: dense, lexical or hybrid, with reranking, grouping and highlighting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

import numpy as np

from echo_index.errors import IndexDamaged, IndexMismatch, QuestionError
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.generations.manifest import manifest_stamp
from echo_index.indexer.generations.snapshot import Snapshot, open_snapshot
from echo_index.indexer.vectors.faiss_index import IndexDevice
from echo_index.retriever.search.dense import dense_ranking
from echo_index.retriever.search.duplicates import group_duplicates
from echo_index.retriever.search.highlight import highlight_hits, with_matching_sentences
from echo_index.retriever.search.hits import Hit, make_hits, ranked_scores
from echo_index.retriever.search.hybrid import hybrid_ranking
from echo_index.retriever.search.lexical import lexical_ranking
from echo_index.retriever.search.query_batcher import QueryBatcher
from echo_index.retriever.search.reranking import Reranker
from echo_index.retriever.search.vector_lru import VectorLRU

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.embeddings.runtime.devices import DeviceChoice
    from echo_index.embeddings.vectors.vector_ops import Vectors

T = TypeVar("T")
Mode = Literal["hybrid", "dense", "lexical"]
_GROUPING_FACTOR = 4  # times as many hits are searched when duplicates will be grouped


class Retriever:
    """Searches one index. Thread-safe; uses a new generation of the index as soon as there is one."""

    def __init__(
        self, index_dir: Path, snapshot: Snapshot, *, load_encoder: Callable[[], EchoEncoder], index_device: IndexDevice
    ) -> None:
        self.index_dir = index_dir
        self._snapshot = snapshot
        self._load_encoder = load_encoder
        self._encoder: EchoEncoder | None = None
        self._index_device: IndexDevice = index_device
        self._lock = Lock()
        self._batcher = QueryBatcher(
            lambda queries, instruction: self.encoder.encode_queries(queries, instruction=instruction)
        )
        self._query_vectors: VectorLRU[tuple[str, str | None]] = VectorLRU(capacity=64)
        self._sentence_vectors: VectorLRU[str] = VectorLRU(capacity=1024)
        self._reranker = Reranker(lambda: self.encoder)

    @classmethod
    def open(
        cls,
        index_dir: Path | str,
        *,
        encoder: EchoEncoder | None = None,
        model: str | None = None,
        device: DeviceChoice = "auto",
        index_device: IndexDevice = "auto",
        notice: Callable[[str], None] = lambda line: None,
    ) -> Retriever:
        """Open an index. Unless an encoder is given, the one in the manifest is loaded at the first dense search.

        `model` is the new path of that encoder's model, if it has moved.

        Raises:
            IndexMissing: there is no complete index in the folder.
            IndexMismatch: the encoder given is not the one that built the index.
            IndexDamaged: the index cannot be read.
            DeviceError: a requested device is not available.
        """
        index_dir = Path(index_dir)
        snapshot = open_snapshot(index_dir, index_device=index_device, notice=notice)
        if encoder is not None:
            _validate_encoder(snapshot, encoder)

        def load_encoder() -> EchoEncoder:
            from echo_index.embeddings.encoder import EchoEncoder

            if encoder is not None:
                return encoder
            return EchoEncoder.from_config(snapshot.manifest.encoder, model=model, device=device, notice=notice)

        return cls(index_dir, snapshot, load_encoder=load_encoder, index_device=index_device)

    @property
    def snapshot(self) -> Snapshot:
        """The generation of the index that was searched last."""
        return self._snapshot

    @property
    def encoder(self) -> EchoEncoder:
        """The encoder of the index, loaded at first use.

        Raises:
            ModelError: the model no longer exists.
            IndexMismatch: the model's weights have changed since the index was built.
        """
        with self._lock:
            if self._encoder is None:
                encoder = self._load_encoder()
                _validate_encoder(self._snapshot, encoder)
                self._encoder = encoder
            return self._encoder

    def search(
        self,
        query: str,
        *,
        k: int = 10,
        mode: Mode = "hybrid",
        instruction: str | None = None,
        where: SearchFilter | None = None,
        rerank: int = 0,
        group: bool = False,
        exact: bool = False,
        vector: Vectors | None = None,
    ) -> list[Hit]:
        """Return the best `k` chunks for a query, best first; fewer if the index or the filter has fewer.

        Args:
            query: what to search for.
            k: the number of hits.
            mode: "dense" (cosine), "lexical" (BM25) or "hybrid" (both).
            instruction: the task in words, for the query's embedding.
            where: the documents to search.
            rerank: how many of the best hits, more or fewer than `k`, are reranked by query likelihood
                (arXiv 2204.07496).
            group: leave out hits that say word for word what a better one says, and list them in `Hit.duplicates`.
            exact: return only chunks that have the text in quotation marks word for word, or the whole query if there
                is none; a query that is only such a text is exact by itself. Not in dense search.
            vector: the query's vector (dimension,) from `encode_queries` with that instruction, if it is already known.

        Raises:
            QuestionError: the query is empty, `k` is below 1, `rerank` is below 0 or the mode is unknown.
        """
        validate_query(query, k)
        if rerank < 0:
            raise QuestionError(f"rerank is {rerank}; it must be at least 0.")
        if mode not in get_args(Mode):
            raise QuestionError(
                f"There is no search mode {mode!r}.", remedy=f"The modes are {', '.join(get_args(Mode))}."
            )
        search_filter, limit = where or SearchFilter(), max(k, rerank)
        depth = _GROUPING_FACTOR * limit if group else limit

        def find(snapshot: Snapshot) -> list[Hit]:
            if mode == "lexical":
                matching = lexical_ranking(snapshot, query, depth, search_filter, exact=exact)
                return make_hits(snapshot, matching, {}, ranked_scores(matching))
            query_vector = self._query_vector(query, instruction) if vector is None else vector
            if mode == "dense":
                dense = dense_ranking(snapshot, query_vector, k=depth, where=search_filter)
                ranked = dense.ranked[:depth]
                return make_hits(snapshot, ranked, ranked_scores(dense.nearest), {})
            hybrid = hybrid_ranking(snapshot, query, query_vector, k=limit, where=search_filter, exact=exact)
            fused = hybrid.fused[:depth]
            return make_hits(snapshot, fused, ranked_scores(hybrid.dense), ranked_scores(hybrid.lexical))

        hits = self.with_snapshot(find)
        if group:
            hits = group_duplicates(query, hits, limit=limit)
        return with_matching_sentences(query, self._reranker.rerank(query, hits, limit=rerank)[:k])

    def similar(self, source: str, start: int, *, k: int = 10, where: SearchFilter | None = None) -> list[Hit]:
        """Return the `k` chunks most similar to the chunk of document `source` that starts at character `start`.

        That chunk and those that overlap it are left out. Its vector is taken from the index; no model is loaded.

        Raises:
            QuestionError: no chunk starts there, or `k` is below 1.
        """
        _validate_k(k)

        def find(snapshot: Snapshot) -> list[Hit]:
            nearest = snapshot.neighbours(source, start, k=k, where=where or SearchFilter())
            if nearest is None:
                raise QuestionError(
                    f"No passage begins at character {start} of {source}.",
                    remedy="Take source and start from a hit of a new search.",
                )
            return make_hits(snapshot, nearest, ranked_scores(nearest), {})

        return self.with_snapshot(find)

    def project_query(self, query: str, *, instruction: str | None = None) -> Vectors:
        """Return the normalized vector (dimension,) of a query, comparable with the chunk vectors of the index.

        Raises:
            QuestionError: the query is empty.
        """
        _validate_not_empty(query)
        normalization = self.current_snapshot().normalization
        return normalization.normalize_query(self._query_vector(query, instruction)).vector

    def highlight(self, query: str, hits: Sequence[Hit], *, instruction: str | None = None) -> list[Hit]:
        """Return the hits with the sentence that answers the query best in `Hit.sentence`, also where no word tells it.

        Where no sentence of a hit of dense search shares a term with the query, which `search` looks for, sentences are
        compared by their vectors; at most 24 are embedded for this.

        Raises:
            QuestionError: the query is empty.
        """

        def similarity(sentences: list[str]) -> Vectors:
            vectors = self._snapshot.normalization.normalize_documents(self.embed_sentences(sentences))
            return np.asarray(vectors @ self.project_query(query, instruction=instruction))

        _validate_not_empty(query)
        return highlight_hits(query, hits, similarity=similarity)

    def embed_sentences(self, sentences: list[str]) -> Vectors:
        """Return the unit vectors (sentences, dimension) of sentences, embedded as documents, not normalized.

        Those of the last sentences are kept.
        """
        return self._sentence_vectors.get(sentences, self.encoder.encode_documents)

    def _query_vector(self, query: str, instruction: str | None) -> Vectors:
        """Return the vector (dimension,) of a query, not normalized."""
        return self._query_vectors.get(
            [(query, instruction)], lambda _: self._batcher.vector(query, instruction)[None, :]
        ).reshape(-1)

    def with_snapshot(self, act: Callable[[Snapshot], T]) -> T:
        """Return `act(snapshot)` for the newest complete generation, so that all it reads is of one generation.

        If builds delete that generation meanwhile, `act` is called again with the newest.

        Raises:
            IndexMismatch: the index was rebuilt with another encoder.
            IndexDamaged: the catalog cannot be read.
        """
        while True:
            snapshot = self.current_snapshot()
            try:
                with snapshot.reading():
                    return act(snapshot)
            except IndexDamaged:
                if manifest_stamp(self.index_dir) == snapshot.stamp:
                    raise

    def current_snapshot(self) -> Snapshot:
        """Return the newest complete generation and switch to it.

        Raises:
            IndexMismatch: the index was rebuilt with another encoder.
        """
        with self._lock:
            if manifest_stamp(self.index_dir) != self._snapshot.stamp:
                newest = open_snapshot(self.index_dir, index_device=self._index_device)
                if newest.manifest.fingerprint != self._snapshot.manifest.fingerprint:
                    raise IndexMismatch(
                        f"The index in {self.index_dir} was rebuilt with another encoder.", remedy="Open it again."
                    )
                self._snapshot = newest
            return self._snapshot


def validate_query(query: str, k: int) -> None:
    """Validate a query and its number of hits.

    Raises:
        QuestionError: the query is empty or `k` is below 1.
    """
    _validate_not_empty(query)
    _validate_k(k)


def _validate_not_empty(query: str) -> None:
    if not query.strip():
        raise QuestionError("The question is empty.", remedy='Ask something: echo-index search "…"')


def _validate_k(k: int) -> None:
    if k < 1:
        raise QuestionError(f"k is {k}; it must be at least 1.")


def _validate_encoder(snapshot: Snapshot, encoder: EchoEncoder) -> None:
    if differences := encoder.differences(snapshot.manifest.encoder):
        raise IndexMismatch(
            f"The index was built with another encoder: {'; '.join(differences)}.",
            remedy="Rebuild it with echo-index build --rebuild FOLDER, or build a second index with another --index.",
        )
