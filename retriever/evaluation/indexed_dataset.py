"""A collection ready to be searched: its questions, an index, vectors of the questions. Knows no row by name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from echo_index.embeddings.vectors.paired_embeddings import EmbeddingPair
from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.errors import SourceError
from echo_index.indexer.building.build_documents import index_documents
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.generations.snapshot import Snapshot
from echo_index.indexer.inspection.document_queries import list_documents, read_indexed_document
from echo_index.retriever.evaluation.datasets import BeirDataset, EvaluationQuery, QuestionFile, RelevanceJudgement
from echo_index.retriever.evaluation.embedding_cache import CachedVectors, Embed, cached_vectors
from echo_index.retriever.search.hits import Hit, Scored, make_hits
from echo_index.retriever.search.retriever import Retriever

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.indexer.building.build_session import Stage

PASSAGES = 100
"""How many of the best passages are looked at for each question: as many of each ranking go into a hybrid search."""
MORE_PASSAGES = 500
"""How many are looked at where those are of fewer documents than there were passages."""

Ranking = list[str]
"""What was found for a question, best first: documents, or what is right in them (`Question.keys`), each once."""
Progress = Callable[[str, int, int | None], None]
"""Told what is being done, how much of it is done, and of how much; None while that is not known."""

KEPT_NAME = 16
"""Characters of a hash in the name of a folder."""
_STAGES = {
    "reading": "reading documents",
    "embedding": "embedding passages",
    "normalizing": "normalizing",
    "indexing": "building the vector index",
}


class IndexedDataset:
    """Questions, and the index that is searched for them. `work` is where vectors of questions are kept."""

    def __init__(
        self,
        collection: BeirDataset | QuestionFile,
        retriever: Retriever,
        *,
        work: Path,
        instruction: str | None,
        progress: Progress,
    ) -> None:
        self.collection = collection
        self.retriever = retriever
        self.instruction = instruction
        self.work = work
        self._progress = progress

    @property
    def queries(self) -> tuple[EvaluationQuery, ...]:
        """The questions that are asked."""
        return self.collection.queries

    @property
    def encoder(self) -> EchoEncoder:
        """The encoder of the index."""
        return self.retriever.encoder

    def tell(self, doing: str, done: int, total: int | None) -> None:
        """Tell how far something is."""
        self._progress(f"{self.collection.name}: {doing}", done, total)

    def whole_documents(self) -> Iterator[tuple[str, str]]:
        """Yield each document that has any text: its name, and its title and text."""
        if isinstance(self.collection, BeirDataset):
            for name, document in self.collection.documents():
                if document.text:
                    parts = dict.fromkeys((document.title, document.text))  # a title may be all there is
                    yield name, "\n".join(part for part in parts if part)
            return
        with self.retriever.snapshot.reading():
            for listed in list_documents(self.retriever.snapshot):
                if listed.passages:
                    yield listed.path, read_indexed_document(self.retriever.snapshot, listed.path).text

    # The questions' vectors

    @property
    def embeddings(self) -> EmbeddingPair:
        """The vectors of all questions by both ways of embedding, as the encoder gives them, in their order."""
        return unstacked(self._question_vectors.vectors)

    @property
    def classical_queries(self) -> Vectors:
        """The classical vectors of all questions; who asks has seen that the index has classical vectors."""
        classical = self.embeddings.classical
        assert classical is not None
        return classical

    @property
    def seconds_per_query(self) -> float:
        """How long it took, on average, to embed a question among others."""
        return self._question_vectors.seconds_per_text

    def kept_vectors(self, way: str, texts: Sequence[str], embed: Embed, *, doing: str) -> Vectors:
        """Return the vectors (n, dimension) of texts that are embedded in some `way`, and keep them for later."""
        return cached_vectors(
            self.work / way, texts, embed, progress=lambda done, total: self.tell(doing, done, total)
        ).vectors

    @cached_property
    def _question_vectors(self) -> CachedVectors:
        encoder, task = self.encoder, self.instruction
        way = hashlib.sha256(f"{encoder.fingerprint} {task}".encode()).hexdigest()[:KEPT_NAME]
        return cached_vectors(
            self.work / "questions" / way,
            [query.text for query in self.queries],
            lambda texts: stacked(encoder.encode_query_pairs(texts, instruction=task)),
            progress=lambda done, total: self.tell("embedding questions", done, total),
        )

    # From passages to rankings

    def rank_each(self, find: Callable[[int, EvaluationQuery, int], Sequence[Hit]]) -> list[Ranking]:
        """Return the ranking of each question from the best passages that `find` returns for its position and itself.

        It is asked for 100 passages, as many as a search looks at, and for more where they are of fewer documents.
        """
        rankings = []
        for position, query in enumerate(self.queries):
            ranking: dict[str, None] = {}
            for most in (PASSAGES, MORE_PASSAGES):
                hits = find(position, query, most)
                ranking |= dict.fromkeys(self.ranking(query, [(hit.source, hit.text) for hit in hits]))
                if len(ranking) >= PASSAGES or len(hits) < most:
                    break
            rankings.append([*ranking])
            self.tell("searching", position + 1, len(self.queries))
        return rankings

    def rank_scored(self, scored: Iterable[Scored]) -> list[Ranking]:
        """Return the ranking of each question from the (chunk id, score) that were found for each, best first."""
        snapshot, found = self.retriever.snapshot, list(scored)
        return self.rank_each(lambda position, query, most: make_hits(snapshot, found[position][:most], {}, {}))

    def ranking(self, query: EvaluationQuery, passages: Sequence[tuple[str, str]]) -> Ranking:
        """Return the ranking that passages, (document, text), stand for: a document is as good as its best passage."""
        return [*dict.fromkeys(key for document, text in passages for key in query.keys(document, text))]


def open_dataset(
    collection: BeirDataset,
    encoder: EchoEncoder,
    *,
    work: Path,
    chunking: Chunking | None = None,
    instruction: str | None = None,
    progress: Progress = lambda doing, done, total: None,
) -> IndexedDataset:
    """Index a corpus as any documents are, in a folder of its own in `work`; what is there already is not made again.

    Raises:
        SourceError: the corpus cannot be read.
        IndexMismatch, IndexDamaged, IndexBusy, IndexUnwritable: as `index_documents` does.
    """
    index_dir = work / f"{collection.name}-{collection.fingerprint()[:8]}" / encoder.fingerprint[:KEPT_NAME]

    def tell(stage: Stage, done: int, total: int | None) -> None:
        progress(f"{collection.name}: {_STAGES[stage]}", done, total)

    index_documents(collection.documents(), index_dir, encoder=encoder, chunking=chunking, progress=tell)
    retriever = Retriever.open(index_dir, encoder=encoder)
    return IndexedDataset(collection, retriever, work=work, instruction=instruction, progress=progress)


def open_question_file(
    file: QuestionFile,
    retriever: Retriever,
    *,
    work: Path,
    instruction: str | None = None,
    progress: Progress = lambda doing, done, total: None,
) -> IndexedDataset:
    """Return the questions of a file, to be asked of an index that is there.

    Raises:
        SourceError: the index does not hold a document, or in it a quotation, that the file names.
    """
    _refuse_unknown(file, retriever.snapshot)
    return IndexedDataset(file, retriever, work=work, instruction=instruction, progress=progress)


def stacked(pairs: EmbeddingPair) -> Vectors:
    """Return readings as one array: float32 (n, ways, dimension), echo before classical."""
    ways = [way for way in (pairs.echo, pairs.classical) if way is not None]
    return np.stack(ways, axis=1)


def unstacked(vectors: Vectors) -> EmbeddingPair:
    """Return what `stacked` made of readings as readings again."""
    return EmbeddingPair(vectors[:, 0], vectors[:, 1] if vectors.shape[1] > 1 else None)


def _refuse_unknown(file: QuestionFile, snapshot: Snapshot) -> None:
    with snapshot.reading():
        held = {document.path for document in list_documents(snapshot)}
        for right in (right for query in file.queries for right in query.judgements):
            if right.document not in held:
                raise SourceError(
                    f"Line {right.line} of {file.path} names {right.document!r}, which the index does not hold.",
                    remedy="Name documents as echo-index search shows them.",
                )
            if right.quotation and not _is_quoted(right, snapshot):
                raise SourceError(
                    f"Line {right.line} of {file.path} quotes what no passage of {right.document!r} has as a whole.",
                    remedy="Quote it exactly; a quotation across two passages has to be shorter.",
                )


def _is_quoted(right: RelevanceJudgement, snapshot: Snapshot) -> bool:
    document = read_indexed_document(snapshot, right.document)
    return any(right.is_in(right.document, document.text[each.start : each.end]) for each in document.passages)
