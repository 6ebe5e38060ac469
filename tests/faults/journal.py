"""Encoders that write down what they embed, so that it can be counted over processes that were killed."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from indexer_helpers import WordEncoder

from echo_index.embeddings.vectors.paired_embeddings import EmbeddingPair


class Journal:
    """One line a batch, written before the batch can be stored: the attempt it belongs to and its texts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.attempt = 0
        self._line: tuple[int, int] = (-1, -1)

    def note(self, texts: Sequence[str]) -> None:
        """Add a batch of this attempt."""
        line = json.dumps([self.attempt, [*texts]]) + "\n"
        file = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.write(file, line.encode())
        os.close(file)

    def batches(self) -> list[tuple[int, list[str]]]:
        """Return (attempt, texts) of all batches, in their order."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").splitlines()
        return [(attempt, texts) for attempt, texts in map(json.loads, lines)]

    def texts(self) -> set[str]:
        """Return all that was embedded."""
        return {text for _, texts in self.batches() for text in texts}

    def embedded_in_vain(self) -> list[str]:
        """Return the texts that were embedded again though they were not in the last batch of an attempt that ended."""
        batches = self.batches()
        in_flight = dict(batches)  # the last one of each attempt
        final = max(in_flight, default=0)
        allowed = Counter(text for attempt, texts in in_flight.items() if attempt != final for text in texts)
        times = Counter(text for _, texts in batches for text in texts)
        return [text for text, count in times.items() if count > 1 + allowed[text]]


class JournalWordEncoder(WordEncoder):
    """A WordEncoder with a journal."""

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self.journal = journal

    def encode_document_pairs(self, texts: Sequence[str]) -> Iterator[tuple[list[int], EmbeddingPair]]:
        for positions, readings in super().encode_document_pairs(texts):
            self.journal.note([texts[position] for position in positions])
            yield positions, readings
