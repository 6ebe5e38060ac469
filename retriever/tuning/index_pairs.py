"""Pairs out of an index's own passages: a heading or a sentence, and the passage that it was taken out of."""

from __future__ import annotations

from echo_index.embeddings.training.pairs import TrainingPair
from echo_index.indexer.catalog.chunk_queries import sample_chunks
from echo_index.indexer.documents.chunking import embedded_text
from echo_index.indexer.generations.snapshot import Snapshot
from echo_index.retriever.tuning.inverse_cloze import SourcePassage, pseudo_questions

_SOURCE = "index"


def pairs_from_index(snapshot: Snapshot, *, most: int) -> list[TrainingPair]:
    """Return up to `most` pairs of different passages, the same ones for the same index."""
    sample = sample_chunks(snapshot.catalog, generation=snapshot.manifest.generation, most=most)
    asked = pseudo_questions([SourcePassage(path, text) for _, path, text in sample], most=most)
    return [TrainingPair(each.query, embedded_text("", each.headings, each.text), source=_SOURCE) for each in asked]
