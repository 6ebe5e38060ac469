"""A dataset with its index and query vectors, ready to be ranked by retrieval systems."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
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
    from echo_index.indexer.building.build_progress import Stage

CHUNKS = 100
"""The best chunks that are retrieved for each query, as many as hybrid search takes from each ranking."""
MORE_CHUNKS = 500
"""Chunks that are retrieved if CHUNKS of them belong to fewer documents."""

Ranking = list[str]
"""Distinct keys for one query, best first: documents, or judged passages in them (`EvaluationQuery.keys`)."""
Progress = Callable[[str, int, int | None], None]
"""Called with the current step, the number of finished items and their total, None while it is unknown."""

HASH_LENGTH = 16
"""Characters of a hash in folder names."""
_STAGES = {
    "reading": "reading documents",
    "embedding": "embedding passages",
    "normalizing": "normalizing",
    "indexing": "building the vector index",
}


class IndexedDataset:
    """Queries with relevance judgements and the index to search. Query vectors are cached in `work`."""

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
        """The queries of the dataset."""
        return self.collection.queries

    @property
    def encoder(self) -> EchoEncoder:
        """The encoder of the index."""
        return self.retriever.encoder

    def report_progress(self, doing: str, done: int, total: int | None) -> None:
        """Report the progress of a step of this dataset."""
        self._progress(f"{self.collection.name}: {doing}", done, total)

    def whole_documents(self) -> Iterator[tuple[str, str]]:
        """Yield (name, title and text) of each document that is not empty."""
        if isinstance(self.collection, BeirDataset):
            for name, document in self.collection.documents():
                if document.text:
                    parts = dict.fromkeys((document.title, document.text))  # the text may be the title
                    yield name, "\n".join(part for part in parts if part)
            return
        with self.retriever.snapshot.reading():
            for listed in list_documents(self.retriever.snapshot):
                if listed.passages:
                    yield listed.path, read_indexed_document(self.retriever.snapshot, listed.path).text

    @property
    def embeddings(self) -> EmbeddingPair:
        """Echo and classical vectors of all queries, not normalized."""
        return unstack_pair(self._query_vectors.vectors)

    @property
    def classical_queries(self) -> Vectors:
        """The classical vectors of all queries; only for indexes that have classical vectors."""
        classical = self.embeddings.classical
        assert classical is not None
        return classical

    @property
    def seconds_per_query(self) -> float:
        """Mean seconds of embedding one query in a batch."""
        return self._query_vectors.seconds_per_text

    def text_vectors(self, name: str, texts: Sequence[str], embed: Embed, *, doing: str) -> Vectors:
        """Return the vectors (n, dimension) of texts from the cache folder `name`; `embed` computes missing ones."""
        return cached_vectors(
            self.work / name, texts, embed, progress=lambda done, total: self.report_progress(doing, done, total)
        ).vectors

    @cached_property
    def _query_vectors(self) -> CachedVectors:
        encoder, instruction = self.encoder, self.instruction
        key = hashlib.sha256(f"{encoder.fingerprint} {instruction}".encode()).hexdigest()[:HASH_LENGTH]
        return cached_vectors(
            self.work / "questions" / key,
            [query.text for query in self.queries],
            lambda texts: stack_pair(encoder.encode_query_pairs(texts, instruction=instruction)),
            progress=lambda done, total: self.report_progress("embedding questions", done, total),
        )

    def rank_each(self, find: Callable[[int, EvaluationQuery, int], Sequence[Hit]]) -> list[Ranking]:
        """Return the ranking of each query from the hits of `find(position, query, k)`.

        `k` is 100, and 500 if those hits belong to fewer than 100 documents.
        """
        rankings = []
        for position, query in enumerate(self.queries):
            ranking: dict[str, None] = {}
            for k in (CHUNKS, MORE_CHUNKS):
                hits = find(position, query, k)
                ranking |= dict.fromkeys(self.ranking(query, [(hit.source, hit.text) for hit in hits]))
                if len(ranking) >= CHUNKS or len(hits) < k:
                    break
            rankings.append([*ranking])
            self.report_progress("searching", position + 1, len(self.queries))
        return rankings

    def rank_scored(self, scored: Iterable[Scored]) -> list[Ranking]:
        """Return the ranking of each query from its chunks as (chunk id, score), best first."""
        snapshot, chunks = self.retriever.snapshot, list(scored)
        return self.rank_each(lambda position, query, k: make_hits(snapshot, chunks[position][:k], {}, {}))

    def ranking(self, query: EvaluationQuery, chunks: Sequence[tuple[str, str]]) -> Ranking:
        """Return the ranking of documents from chunks as (document, text): a document ranks as its best chunk.

        The document that is the query itself is left out, as in BEIR.
        """
        return [
            *dict.fromkeys(
                key for document, text in chunks if document != query.own_document for key in query.keys(document, text)
            )
        ]


def open_dataset(
    collection: BeirDataset,
    encoder: EchoEncoder,
    *,
    work: Path,
    chunking: Chunking | None = None,
    instruction: str | None = None,
    progress: Progress = lambda doing, done, total: None,
) -> IndexedDataset:
    """Index the corpus of a dataset in a folder below `work`, or update the index that is there.

    Raises:
        SourceError: the corpus cannot be read.
        IndexMismatch, IndexDamaged, IndexBusy, IndexUnwritable: as in `index_documents`.
    """
    index_dir = work / f"{collection.name}-{collection.fingerprint()[:8]}" / encoder.fingerprint[:HASH_LENGTH]

    def report(stage: Stage, done: int, total: int | None) -> None:
        progress(f"{collection.name}: {_STAGES[stage]}", done, total)

    index_documents(
        collection.documents(), index_dir, encoder=encoder, chunking=chunking, compare=True, progress=report
    )
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
    """Return the questions of a file with an existing index.

    Raises:
        SourceError: the file names a document or a quotation that is not in the index.
    """
    _validate_judgements(file, retriever.snapshot)
    return IndexedDataset(file, retriever, work=work, instruction=instruction, progress=progress)


def stack_pair(pairs: EmbeddingPair) -> Vectors:
    """Return echo and, if present, classical vectors as one float32 array (n, 1 or 2, dimension)."""
    return np.stack([vectors for vectors in (pairs.echo, pairs.classical) if vectors is not None], axis=1)


def unstack_pair(vectors: Vectors) -> EmbeddingPair:
    """Reverse `stack_pair`."""
    return EmbeddingPair(vectors[:, 0], vectors[:, 1] if vectors.shape[1] > 1 else None)


def _validate_judgements(file: QuestionFile, snapshot: Snapshot) -> None:
    with snapshot.reading():
        known = {document.path for document in list_documents(snapshot)}
        for judgement in chain.from_iterable(query.judgements for query in file.queries):
            if judgement.document not in known:
                raise SourceError(
                    f"Line {judgement.line} of {file.path} names {judgement.document!r}, which is not in the index.",
                    remedy="Name documents as echo-index search shows them.",
                )
            if judgement.quotation and not _contains_quotation(judgement, snapshot):
                raise SourceError(
                    f"Line {judgement.line} of {file.path} quotes what no passage of {judgement.document!r} contains.",
                    remedy="Quote exactly, and from one passage only.",
                )


def _contains_quotation(judgement: RelevanceJudgement, snapshot: Snapshot) -> bool:
    document = read_indexed_document(snapshot, judgement.document)
    texts = (document.text[chunk.start : chunk.end] for chunk in document.passages)
    return any(judgement.applies_to(judgement.document, text) for text in texts)
