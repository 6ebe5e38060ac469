"""Any model of sentence-transformers as a further row: whole documents, its own defaults. Knows no model of ours."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.retriever.evaluation.embedding_cache import KeptVectors, kept_vectors
from echo_index.retriever.evaluation.exact_search import exact_nearest
from echo_index.retriever.evaluation.indexed_dataset import KEPT_NAME, PASSAGES, OpenedCollection, Ranking
from echo_index.retriever.evaluation.retrieval_systems import Row
from echo_index.retriever.evaluation.sentence_transformer import OtherModel, Side
from echo_index.retriever.evaluation.similarity_methods import EmbeddedPairs, PairRow, pair_cosines


class SentenceTransformerPeer:
    """One model of sentence-transformers, loaded when it is first needed; its vectors are kept in `work`.

    Raises:
        MissingPackage: sentence-transformers is not installed.
    """

    def __init__(self, name: str, *, work: Path) -> None:
        self._model = OtherModel(name, needing="The row")
        self.name = name
        self._work = work

    @property
    def row(self) -> Row:
        """The row that ranks whole documents by this model."""
        return Row(self._short, self._told, self._rank, prepare=self._embed_questions)

    @property
    def pair_row(self) -> PairRow:
        """The row that tells the similarity of sentences by this model."""
        return PairRow(self._short, self._told, self._similarities, prepare=self._embed_sentences)

    @property
    def _short(self) -> str:
        return Path(self.name).name

    @property
    def _told(self) -> str:
        return f"whole documents by sentence-transformers {self.name}, its own defaults"

    def _rank(self, opened: OpenedCollection) -> list[Ranking]:
        names, texts = zip(*opened.whole_documents(), strict=True)
        documents = self._vectors("document", texts, opened).vectors
        questions = self._questions(opened).vectors
        nearest = exact_nearest([(np.arange(len(names)), documents)], questions, k=PASSAGES)
        return [
            opened.ranking(question, [(names[place], texts[place]) for place, _ in scored])
            for question, scored in zip(opened.questions, nearest, strict=True)
        ]

    def _embed_questions(self, opened: OpenedCollection) -> float:
        self._vectors("document", [text for _, text in opened.whole_documents()], opened)
        return self._questions(opened).seconds_per_text

    def _questions(self, opened: OpenedCollection) -> KeptVectors:
        return self._vectors("query", [question.text for question in opened.questions], opened)

    def _similarities(self, embedded: EmbeddedPairs) -> Vectors:
        return pair_cosines(self._sentences(embedded).vectors)

    def _embed_sentences(self, embedded: EmbeddedPairs) -> float:
        return 2 * self._sentences(embedded).seconds_per_text

    def _sentences(self, embedded: EmbeddedPairs) -> KeptVectors:
        texts = [*embedded.pairs.first, *embedded.pairs.second]
        return self._kept("document", texts, lambda done, total: None)

    def _vectors(self, side: Side, texts: Sequence[str], opened: OpenedCollection) -> KeptVectors:
        return self._kept(
            side, texts, lambda done, total: opened.tell(f"embedding {side} texts by {self._short}", done, total)
        )

    def _kept(self, side: Side, texts: Sequence[str], progress: Callable[[int, int], None]) -> KeptVectors:
        way = hashlib.sha256(f"{self.name} {side}".encode()).hexdigest()[:KEPT_NAME]
        return kept_vectors(
            self._work / "sentence-transformers" / way,
            texts,
            lambda block: self._model.embed(side, block),
            progress=progress,
        )
