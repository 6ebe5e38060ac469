"""Search an index, or several as one: dense, lexical or hybrid, with reranking, grouping and highlighting."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

import numpy as np

from echo_index.errors import QuestionError
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.stores.search_space import SearchSpace
from echo_index.retriever.search.dense import dense_ranking
from echo_index.retriever.search.duplicates import group_duplicates
from echo_index.retriever.search.highlight import highlight_hits, with_matching_sentences
from echo_index.retriever.search.hits import Hit, make_hits, ranked_scores
from echo_index.retriever.search.hybrid import hybrid_ranking
from echo_index.retriever.search.lexical import lexical_ranking
from echo_index.retriever.search.reranking import Reranker
from echo_index.retriever.search.text_batcher import TextBatcher
from echo_index.retriever.search.vector_lru import VectorLRU

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.embeddings.vectors.vector_ops import Vectors
    from echo_index.indexer.vectors.normalization import VectorNormalization

T = TypeVar("T")
Mode = Literal["hybrid", "dense", "lexical"]
_RANKS_NO_WORDS = "The store of this index cannot search by words: Milvus ranks by BM25 from version 2.5 on."
_GROUPING_FACTOR = 4  # times as many hits are searched when duplicates will be grouped


class Searcher(ABC):
    """Searches with one encoder. `Retriever` does so in one index, `CollectionsRetriever` in several. Thread-safe."""

    def __init__(self) -> None:
        self._queries: TextBatcher[str | None] = TextBatcher(
            lambda queries, instruction: self.encoder.encode_queries(queries, instruction=instruction)
        )
        # Apart from the queries, which do not wait behind documents.
        self._documents: TextBatcher[None] = TextBatcher(lambda texts, _: self.encoder.encode_documents(texts))
        self._query_vectors: VectorLRU[tuple[str, str | None]] = VectorLRU(capacity=64)
        self._sentence_vectors: VectorLRU[str] = VectorLRU(capacity=1024)
        self._reranker = Reranker(lambda: self.encoder)

    @property
    @abstractmethod
    def encoder(self) -> EchoEncoder:
        """The encoder of the index, loaded at first use."""

    @property
    @abstractmethod
    def normalization(self) -> VectorNormalization:
        """The normalization of the newest generation."""

    @abstractmethod
    def with_space(self, act: Callable[[SearchSpace], T]) -> T:
        """Return `act(space)` for the newest complete generation, so that all it reads is of one generation."""

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
        min_score: float | None = None,
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
            min_score: the least `Hit.relevance`, from 0 to 1, of the chunks that are ranked. Not in lexical search.

        Raises:
            QuestionError: the query is empty, `k` is below 1, `rerank` is below 0, the mode is unknown, or `min_score`
                is not from 0 to 1, or the index cannot tell the relevance of chunks, or the store of the index cannot
                search by words.
        """
        validate_query(query, k)
        if rerank < 0:
            raise QuestionError(f"rerank is {rerank}; it must be at least 0.")
        if mode not in get_args(Mode):
            raise QuestionError(
                f"There is no search mode {mode!r}.", remedy=f"The modes are {', '.join(get_args(Mode))}."
            )
        _validate_min_score(min_score, mode)
        search_filter, limit = where or SearchFilter(), max(k, rerank)
        depth = _GROUPING_FACTOR * limit if group else limit

        def find(space: SearchSpace) -> list[Hit]:
            if not space.ranks_words and (mode == "lexical" or exact):
                raise QuestionError(_RANKS_NO_WORDS, remedy="Search by meaning: dense.")
            if mode == "lexical":
                matching = lexical_ranking(space, query, depth, search_filter, exact=exact)
                return make_hits(space, matching, {}, ranked_scores(matching))
            space.load_early()  # while the query is embedded
            query_vector = self._query_vector(query, instruction) if vector is None else vector
            if mode == "dense" or not space.ranks_words:
                dense = dense_ranking(space, query_vector, k=depth, where=search_filter)
                relevance = _relevance(space, dict(dense.nearest), min_score)
                ranked = [scored for scored in dense.ranked if scored[0] in relevance][:depth]
                return make_hits(space, ranked, ranked_scores(dense.nearest), {}, relevance=relevance)
            hybrid = hybrid_ranking(space, query, query_vector, k=limit, where=search_filter, exact=exact)
            relevance = _relevance(space, hybrid.cosines, min_score)
            fused = [scored for scored in hybrid.fused if scored[0] in relevance][:depth]
            return make_hits(
                space, fused, ranked_scores(hybrid.dense), ranked_scores(hybrid.lexical), relevance=relevance
            )

        hits = self.with_space(find)
        if group:
            hits = group_duplicates(query, hits, limit=limit)
        return with_matching_sentences(query, self._reranker.rerank(query, hits, limit=rerank)[:k])

    def project_query(self, query: str, *, instruction: str | None = None) -> Vectors:
        """Return the normalized vector (dimension,) of a query, comparable with the chunk vectors of the index.

        Raises:
            QuestionError: the query is empty.
        """
        _validate_not_empty(query)
        return self.normalization.normalize_query(self._query_vector(query, instruction)).vector

    def highlight(self, query: str, hits: Sequence[Hit], *, instruction: str | None = None) -> list[Hit]:
        """Return the hits with the sentence that answers the query best in `Hit.sentence`, also where no word tells it.

        Where no sentence of a hit of dense search shares a term with the query, which `search` looks for, sentences are
        compared by their vectors; at most 24 are embedded for this.

        Raises:
            QuestionError: the query is empty.
        """

        def similarity(sentences: list[str]) -> Vectors:
            vectors = self.normalization.normalize_documents(self.embed_sentences(sentences))
            return np.asarray(vectors @ self.project_query(query, instruction=instruction))

        _validate_not_empty(query)
        return highlight_hits(query, hits, similarity=similarity)

    def embed_queries(self, texts: Sequence[str], *, instruction: str | None = None) -> Vectors:
        """Embed queries as the encoder does, unit rows (n, dimension), together with those of other threads.

        Raises:
            TextError: a text is empty.
            PromptError: an instruction is given, but the query prompt has no slot for it.
        """
        return self._queries.vectors(texts, instruction)

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Embed documents as the encoder does, unit rows (n, dimension), together with those of other threads.

        Raises:
            TextError: a text is empty.
        """
        return self._documents.vectors(texts, None)

    def score_texts(self, query: str, texts: Sequence[str]) -> Vectors:
        """Return how likely the language model finds the query after each text: float32 (n,), log p per token.

        Raises:
            TextError: the query or a text is empty.
            ModelError: a text and the query do not fit into the model's context.
        """
        return self._reranker.score(query, texts)

    def embed_sentences(self, sentences: list[str]) -> Vectors:
        """Return the unit vectors (sentences, dimension) of sentences, embedded as documents, not normalized.

        Those of the last sentences are kept.
        """
        return self._sentence_vectors.get(sentences, self.embed_documents)

    def _query_vector(self, query: str, instruction: str | None) -> Vectors:
        """Return the vector (dimension,) of a query, not normalized."""
        return self._query_vectors.get(
            [(query, instruction)], lambda _: self._queries.vectors([query], instruction)
        ).reshape(-1)


def _relevance(space: SearchSpace, cosines: Mapping[int, float], least: float | None) -> dict[int, float | None]:
    """Return the relevance of each chunk that has at least `least`, by its id; None of each if it is not known."""
    found = {identifier: space.relevance(cosine) for identifier, cosine in cosines.items()}
    if least is None:
        return found
    if any(share is None for share in found.values()):
        raise QuestionError(
            "This index cannot tell how relevant a passage is, as a least score needs: an earlier version built it, or "
            "it has fewer than 16 passages.",
            remedy="Bring it up to date: echo-index build",
        )
    return {identifier: share for identifier, share in found.items() if share is not None and share >= least}


def _validate_min_score(min_score: float | None, mode: Mode) -> None:
    if min_score is None:
        return
    if not 0 <= min_score <= 1:
        raise QuestionError(f"The least score is {min_score}; it must be from 0 to 1.")
    if mode == "lexical":
        raise QuestionError(
            "Search by words has no score that could be compared with a least one.",
            remedy="Search by meaning, or by both: hybrid or dense.",
        )


def validate_query(query: str, k: int) -> None:
    """Validate a query and its number of hits.

    Raises:
        QuestionError: the query is empty or `k` is below 1.
    """
    _validate_not_empty(query)
    validate_k(k)


def _validate_not_empty(query: str) -> None:
    if not query.strip():
        raise QuestionError("The question is empty.", remedy='Ask something: echo-index search "…"')


def validate_k(k: int) -> None:
    """Validate the number of hits.

    Raises:
        QuestionError: `k` is below 1.
    """
    if k < 1:
        raise QuestionError(f"k is {k}; it must be at least 1.")
