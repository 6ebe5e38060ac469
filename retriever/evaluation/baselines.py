"""Any model of sentence-transformers as a further row: whole documents, its own defaults. Knows no model of ours."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.retriever.evaluation.embedding_cache import CachedVectors, cached_vectors
from echo_index.retriever.evaluation.exact_search import exact_search
from echo_index.retriever.evaluation.indexed_dataset import KEPT_NAME, PASSAGES, IndexedDataset, Ranking
from echo_index.retriever.evaluation.retrieval_systems import RetrievalSystem
from echo_index.retriever.evaluation.sentence_transformer import SentenceTransformerEncoder, Side
from echo_index.retriever.evaluation.similarity_methods import EmbeddedPairs, SimilarityMethod, pair_cosines


class SentenceTransformerBaseline:
    """One model of sentence-transformers, loaded when it is first needed; its vectors are kept in `work`.

    Raises:
        MissingPackage: sentence-transformers is not installed.
    """

    def __init__(self, name: str, *, work: Path) -> None:
        self._model = SentenceTransformerEncoder(name, needing="The row")
        self.name = name
        self._work = work

    @property
    def system(self) -> RetrievalSystem:
        """The row that ranks whole documents by this model."""
        return RetrievalSystem(self._short, self._told, self._rank, prepare=self._embed_questions)

    @property
    def pair_row(self) -> SimilarityMethod:
        """The row that tells the similarity of sentences by this model."""
        return SimilarityMethod(self._short, self._told, self._similarities, prepare=self._embed_sentences)

    @property
    def _short(self) -> str:
        return Path(self.name).name

    @property
    def _told(self) -> str:
        return f"whole documents by sentence-transformers {self.name}, its own defaults"

    def _rank(self, dataset: IndexedDataset) -> list[Ranking]:
        names, texts = zip(*dataset.whole_documents(), strict=True)
        documents = self._vectors("document", texts, dataset).vectors
        queries = self._questions(dataset).vectors
        nearest = exact_search([(np.arange(len(names)), documents)], queries, k=PASSAGES)
        return [
            dataset.ranking(query, [(names[place], texts[place]) for place, _ in scored])
            for query, scored in zip(dataset.queries, nearest, strict=True)
        ]

    def _embed_questions(self, dataset: IndexedDataset) -> float:
        self._vectors("document", [text for _, text in dataset.whole_documents()], dataset)
        return self._questions(dataset).seconds_per_text

    def _questions(self, dataset: IndexedDataset) -> CachedVectors:
        return self._vectors("query", [query.text for query in dataset.queries], dataset)

    def _similarities(self, embedded: EmbeddedPairs) -> Vectors:
        return pair_cosines(self._sentences(embedded).vectors)

    def _embed_sentences(self, embedded: EmbeddedPairs) -> float:
        return 2 * self._sentences(embedded).seconds_per_text

    def _sentences(self, embedded: EmbeddedPairs) -> CachedVectors:
        texts = [*embedded.pairs.first, *embedded.pairs.second]
        return self._kept("document", texts, lambda done, total: None)

    def _vectors(self, side: Side, texts: Sequence[str], dataset: IndexedDataset) -> CachedVectors:
        return self._kept(
            side, texts, lambda done, total: dataset.tell(f"embedding {side} texts by {self._short}", done, total)
        )

    def _kept(self, side: Side, texts: Sequence[str], progress: Callable[[int, int], None]) -> CachedVectors:
        way = hashlib.sha256(f"{self.name} {side}".encode()).hexdigest()[:KEPT_NAME]
        return cached_vectors(
            self._work / "sentence-transformers" / way,
            texts,
            lambda block: self._model.embed(side, block),
            progress=progress,
        )
