"""Write an index of generated passages with given vectors: words are drawn by Zipf's law."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from benchmarks.encode.corpus import guide_sentences
from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.indexer.catalog.catalog import CATALOG, Catalog
from echo_index.indexer.catalog.generation_summary import generation_counts
from echo_index.indexer.catalog.records import ChunkRow, DocumentRow
from echo_index.indexer.generations.commit import commit_generation
from echo_index.indexer.generations.manifest import Manifest
from echo_index.indexer.text.language_detection import ENGLISH
from echo_index.indexer.text.stopwords import stop_words

PASSAGES_A_FILE = 50
_VOCABULARY = 200_000


class GeneratedDocuments:
    """Documents of passages of so many words, each the same whenever it is asked for."""

    def __init__(self, *, words: int) -> None:
        random = np.random.default_rng(0)
        known = [word.lower() for sentence in guide_sentences() for word in re.findall("[A-Za-z]+", sentence)]
        common = list(dict.fromkeys([*sorted(stop_words(ENGLISH)), *known]))
        pairs = random.integers(len(common), size=(_VOCABULARY - len(common), 2))
        self._vocabulary = [*common, *(common[first] + common[second] for first, second in pairs)]
        self._frequencies = (1 / (np.arange(len(self._vocabulary)) + 2.7)).cumsum()
        self._words = words

    def chunks(self, number: int, *, version: int = 1) -> list[ChunkRow]:
        """Return the passages of a document."""
        random = np.random.default_rng([number, version])
        drawn = random.random((PASSAGES_A_FILE, self._words)) * self._frequencies[-1]
        rows = []
        for line, places in enumerate(np.searchsorted(self._frequencies, drawn), start=1):
            text = " ".join(self._vocabulary[place] for place in places)
            hashed = hashlib.sha256(f"{number} {line} {version}".encode()).digest()
            rows.append(ChunkRow(text, (), line * 2000, line * 2000 + len(text), None, line, hashed))
        return rows


def put_document(catalog: Catalog, number: int, rows: Sequence[ChunkRow], vectors: Vectors, *, generation: int) -> None:
    """Store a document and the vectors of its passages."""
    name = f"document-{number}.md"
    hashed = hashlib.sha256(f"{name} {generation}".encode()).hexdigest()
    catalog.put_document(DocumentRow(name, hashed, 1, 1, "markdown", name), rows, generation=generation)
    catalog.put_vectors([row.hash for row in rows], vectors, classical=None)


def commit(index: Path, catalog: Catalog, like: Manifest, *, generation: int, before: Manifest | None) -> Manifest:
    """Commit a generation with the settings and the normalization of another index."""
    return commit_generation(
        index,
        catalog,
        generation=generation,
        counts=generation_counts(catalog, generation=generation),
        fingerprint=like.fingerprint,
        encoder=like.encoder,
        chunking=like.chunking,
        context=like.context,
        normalizations=like.normalizations,
        canaries=like.canaries,
        before=before,
    )


def write_random_index(index: Path, like: Manifest, passages: int, *, words: int) -> None:
    """Write an index whose vectors are random, with the settings of another one."""
    random, documents = np.random.default_rng(0), GeneratedDocuments(words=words)
    index.mkdir(parents=True)
    with closing(Catalog(index / CATALOG, create=True)) as catalog:
        for number in range(passages // PASSAGES_A_FILE):
            shape = (PASSAGES_A_FILE, like.normalizations.echo.dimension)
            vectors = random.standard_normal(shape, dtype=np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            put_document(catalog, number, documents.chunks(number), vectors, generation=1)
        commit(index, catalog, like, generation=1, before=None)
