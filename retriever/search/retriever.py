"""Retriever: a question in, hits out; dense, lexical or both. Knows an index and an encoder, nothing of answers."""

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
from echo_index.retriever.search.highlight import Span, highlight_hits
from echo_index.retriever.search.hits import Hit, Scored, make_hits, ranked_scores
from echo_index.retriever.search.hybrid import hybrid_ranking
from echo_index.retriever.search.lexical import lexical_ranking
from echo_index.retriever.search.near_duplicates import group_duplicates
from echo_index.retriever.search.query_batcher import QueryBatcher
from echo_index.retriever.search.reranking import Reranker
from echo_index.retriever.search.vector_lru import VectorLRU

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.embeddings.runtime.devices import DeviceChoice
    from echo_index.embeddings.vectors.vector_ops import Vectors

T = TypeVar("T")
Mode = Literal["hybrid", "dense", "lexical"]
_TIMES_AS_MANY = 4  # hits are looked at as are wanted, where some will be named by others


class Retriever:
    """Searches one index. Thread-safe; a new generation of the index is picked up without a restart."""

    def __init__(
        self, index_dir: Path, snapshot: Snapshot, *, load_encoder: Callable[[], EchoEncoder], index_device: IndexDevice
    ) -> None:
        self.index_dir = index_dir
        self._snapshot = snapshot
        self._load_encoder = load_encoder
        self._encoder: EchoEncoder | None = None
        self._index_device: IndexDevice = index_device
        self._lock = Lock()
        self._gatherer = QueryBatcher(lambda queries, task: self.encoder.encode_queries(queries, instruction=task))
        self._questions: VectorLRU[tuple[str, str | None]] = VectorLRU(capacity=64)
        self._sentences: VectorLRU[str] = VectorLRU(capacity=1024)
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
        """Open an index; the encoder that its manifest describes is loaded at the first dense search, unless given.

        `model` is where that encoder's model lies now, if it has moved.

        Raises:
            IndexMissing: there is no complete index in the folder.
            IndexMismatch: the encoder given is not the one that built the index.
            IndexDamaged: the index cannot be read.
            DeviceError: a device that was asked for is not there.
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
        """The generation of the index that is searched."""
        return self._snapshot

    @property
    def encoder(self) -> EchoEncoder:
        """The encoder of the index, loaded when it is first needed.

        Raises:
            ModelError: the model is not there any more.
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
        vector: Vectors | None = None,
    ) -> list[Hit]:
        """Return the best `k` passages, best first; fewer where the index, or the filter, holds fewer.

        `instruction` is the task in words, for the dense side. The best `rerank` passages, be they more or fewer than
        `k`, are reordered by how likely the language model finds the question after each (arXiv 2204.07496). With
        `group`, a passage that says the same as a better one does not stand for itself: that one names it, `Hit.alike`.
        `vector` (dimension,) is the question's, as `encode_queries` gave it with that instruction, where it is known
        already: many are made faster together.

        Raises:
            QuestionError: the question is empty, `k` is below 1, `rerank` is below 0 or the mode is unknown.
        """
        validate_query(query, k)
        if rerank < 0:
            raise QuestionError(f"rerank is {rerank}; it must be at least 0.")
        if mode not in get_args(Mode):
            raise QuestionError(
                f"There is no search mode {mode!r}.", remedy=f"The modes are {', '.join(get_args(Mode))}."
            )
        filtered, wanted = where or SearchFilter(), max(k, rerank)
        depth = _TIMES_AS_MANY * wanted if group else wanted

        def told(snapshot: Snapshot, ranked: Scored, hits: list[Hit]) -> list[Hit]:
            return group_duplicates(snapshot, ranked, hits, most=wanted) if group else hits

        def find(snapshot: Snapshot) -> list[Hit]:
            if mode == "lexical":
                matching = lexical_ranking(snapshot, query, depth, filtered)
                return told(snapshot, matching, make_hits(snapshot, matching, {}, ranked_scores(matching)))
            known = self._query_vector(query, instruction) if vector is None else vector
            if mode == "dense":
                dense = dense_ranking(snapshot, known, k=depth, where=filtered)
                ranked = dense.ranked[:depth]
                return told(snapshot, ranked, make_hits(snapshot, ranked, ranked_scores(dense.nearest), {}))
            both = hybrid_ranking(snapshot, query, known, k=wanted, where=filtered)
            fused = both.fused[:depth]
            return told(
                snapshot, fused, make_hits(snapshot, fused, ranked_scores(both.dense), ranked_scores(both.lexical))
            )

        return self._reranker.rerank(query, self.with_snapshot(find), most=rerank)[:k]

    def similar(self, source: str, start: int, *, k: int = 10, where: SearchFilter | None = None) -> list[Hit]:
        """Return the best `k` passages that are like the one of the document `source` that begins at `start`.

        Neither it nor what overlaps it is among them. They are ranked by its vector in the index; no model is loaded.

        Raises:
            QuestionError: no passage begins there, or `k` is below 1.
        """
        _validate_k(k)

        def find(snapshot: Snapshot) -> list[Hit]:
            nearest = snapshot.neighbours(source, start, k=k, where=where or SearchFilter())
            if nearest is None:
                raise QuestionError(
                    f"No passage begins at character {start} of {source}.",
                    remedy="Take both from a hit of a new search.",
                )
            return make_hits(snapshot, nearest, ranked_scores(nearest), {})

        return self.with_snapshot(find)

    def project_query(self, query: str, *, instruction: str | None = None) -> Vectors:
        """Return where a question stands among the passages: a unit vector (dimension,) in their space.

        Raises:
            QuestionError: the question is empty.
        """
        _validate_not_empty(query)
        normalization = self.current_snapshot().normalization
        return normalization.normalize_query(self._query_vector(query, instruction)).vector

    def highlight(self, query: str, hits: Sequence[Hit], *, instruction: str | None = None) -> list[Span | None]:
        """Return for each hit start and end, in its text, of the sentence that answers best to the question.

        By the words that they share; where there are none and the hit was found by meaning, by the sentences' vectors,
        of which not more than 24 are made. None where nothing was found.

        Raises:
            QuestionError: the question is empty.
        """

        def similarity(sentences: list[str]) -> Vectors:
            vectors = self._sentences.get(sentences, self.encoder.encode_documents)
            centred = self._snapshot.normalization.normalize_documents(vectors)
            return np.asarray(centred @ self.project_query(query, instruction=instruction))

        _validate_not_empty(query)
        return highlight_hits(query, hits, similarity=similarity)

    def _query_vector(self, query: str, instruction: str | None) -> Vectors:
        """Return the vector (dimension,) of a question as the encoder gives it."""
        return self._questions.get(
            [(query, instruction)], lambda _: self._gatherer.vector(query, instruction)[None, :]
        ).reshape(-1)

    def with_snapshot(self, act: Callable[[Snapshot], T]) -> T:
        """Return what `act` makes of the newest complete generation: all that it reads is of that one.

        Where builds complete so many meanwhile that it is swept away, `act` is called again with the newest.

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
        """Return the newest complete generation, and search in it from now on.

        Raises:
            IndexMismatch: it was rebuilt with another encoder.
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
    """Raise a QuestionError where nothing is asked, or nothing wanted."""
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
            remedy="Build it anew with echo-index build --rebuild FOLDER, or keep both with another --index.",
        )
