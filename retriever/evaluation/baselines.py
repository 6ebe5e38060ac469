"""Baselines: sentence-transformers models with their own defaults, on whole documents."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.indexer.generations.snapshot import Snapshot
from echo_index.retriever.evaluation.document_bm25 import DocumentBM25
from echo_index.retriever.evaluation.embedding_cache import CachedVectors, cached_vectors
from echo_index.retriever.evaluation.exact_search import exact_search
from echo_index.retriever.evaluation.indexed_dataset import CHUNKS, HASH_LENGTH, IndexedDataset, Ranking
from echo_index.retriever.evaluation.retrieval_systems import RetrievalSystem
from echo_index.retriever.evaluation.sentence_transformer import SentenceTransformerEncoder, Side
from echo_index.retriever.evaluation.similarity_methods import EmbeddedPairs, SimilarityMethod, pair_cosines
from echo_index.retriever.search.hybrid import fuse


class SentenceTransformerBaseline:
    """A sentence-transformers model, loaded at first use; its vectors are cached in `work`.

    Raises:
        MissingPackage: sentence-transformers is not installed.
    """

    def __init__(self, name: str, *, work: Path) -> None:
        self._model = SentenceTransformerEncoder(name, purpose="The row")
        self.name = name
        self._work = work

    @property
    def systems(self) -> tuple[RetrievalSystem, RetrievalSystem]:
        """The retrieval systems that rank whole documents by this model, alone and fused with BM25 as hybrid search."""
        return (
            RetrievalSystem(self._short_name, self._description, self._rank, prepare=self._embed_queries),
            RetrievalSystem(
                f"{self._short_name}-hybrid",
                f"{self._description}, fused with BM25 and with feedback, as in hybrid search",
                self._rank_with_words,
                prepare=self._embed_queries,
            ),
        )

    @property
    def similarity_method(self) -> SimilarityMethod:
        """The similarity method of this model for pairs of sentences."""
        return SimilarityMethod(self._short_name, self._description, self._similarities, prepare=self._embed_sentences)

    @property
    def _short_name(self) -> str:
        return Path(self.name).name

    @property
    def _description(self) -> str:
        return f"whole documents by sentence-transformers {self.name}, its own defaults"

    def _rank(self, dataset: IndexedDataset) -> list[Ranking]:
        names, texts = zip(*dataset.whole_documents(), strict=True)
        documents = self._dataset_vectors("document", texts, dataset).vectors
        queries = self._query_vectors(dataset).vectors
        nearest = exact_search([(np.arange(len(names)), documents)], queries, k=CHUNKS)
        return [
            dataset.ranking(query, [(names[number], texts[number]) for number, _ in scored])
            for query, scored in zip(dataset.queries, nearest, strict=True)
        ]

    def _rank_with_words(self, dataset: IndexedDataset) -> list[Ranking]:
        names, texts = zip(*dataset.whole_documents(), strict=True)
        documents = self._dataset_vectors("document", texts, dataset).vectors
        queries = self._query_vectors(dataset).vectors
        nearest = exact_search([(np.arange(len(names)), documents)], queries, k=CHUNKS)

        def rank(snapshot: Snapshot) -> list[Ranking]:
            words = DocumentBM25(snapshot, {name: number for number, name in enumerate(names)})
            rankings = []
            for query, vector, scored in zip(dataset.queries, queries, nearest, strict=True):
                bm25 = words.scores(query.text, [number for number, _ in scored])
                fused = fuse(query.text, vector, {number: documents[number] for number in bm25}, bm25)
                rankings.append(dataset.ranking(query, [(names[number], texts[number]) for number, _ in fused]))
                dataset.report_progress("searching", len(rankings), len(dataset.queries))
            return rankings

        return dataset.retriever.with_snapshot(rank)

    def _embed_queries(self, dataset: IndexedDataset) -> float:
        self._dataset_vectors("document", [text for _, text in dataset.whole_documents()], dataset)
        return self._query_vectors(dataset).seconds_per_text

    def _query_vectors(self, dataset: IndexedDataset) -> CachedVectors:
        return self._dataset_vectors("query", [query.text for query in dataset.queries], dataset)

    def _similarities(self, embedded: EmbeddedPairs) -> Vectors:
        return pair_cosines(self._sentence_vectors(embedded).vectors)

    def _embed_sentences(self, embedded: EmbeddedPairs) -> float:
        return 2 * self._sentence_vectors(embedded).seconds_per_text

    def _sentence_vectors(self, embedded: EmbeddedPairs) -> CachedVectors:
        texts = [*embedded.pairs.first, *embedded.pairs.second]
        return self._cached("document", texts, lambda done, total: None)

    def _dataset_vectors(self, side: Side, texts: Sequence[str], dataset: IndexedDataset) -> CachedVectors:
        return self._cached(
            side,
            texts,
            lambda done, total: dataset.report_progress(f"embedding {side} texts by {self._short_name}", done, total),
        )

    def _cached(self, side: Side, texts: Sequence[str], progress: Callable[[int, int], None]) -> CachedVectors:
        key = hashlib.sha256(f"{self.name} {side}".encode()).hexdigest()[:HASH_LENGTH]
        return cached_vectors(
            self._work / "sentence-transformers" / key,
            texts,
            lambda block: self._model.embed(side, block),
            progress=progress,
        )
