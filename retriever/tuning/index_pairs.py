"""Training pairs from the chunks of an index, by the inverse cloze task."""

from __future__ import annotations

from echo_index.embeddings.training.pairs import TrainingPair
from echo_index.indexer.catalog.chunk_queries import sample_chunks
from echo_index.indexer.documents.chunking import embedded_text
from echo_index.indexer.generations.snapshot import Snapshot
from echo_index.retriever.tuning.inverse_cloze import SourcePassage, pseudo_questions

_SOURCE = "index"


def pairs_from_index(snapshot: Snapshot, *, limit: int) -> list[TrainingPair]:
    """Return up to `limit` pairs of different chunks; the same index gives the same pairs."""
    sample = sample_chunks(snapshot.catalog, generation=snapshot.manifest.generation, most=limit)
    questions = pseudo_questions([SourcePassage(path, text) for _, path, text in sample], limit=limit)
    return [
        TrainingPair(question.query, embedded_text("", question.headings, question.text), source=_SOURCE)
        for question in questions
    ]
