"""An encoder without a model, and helpers that the tests of the index share."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from echo_index.embeddings.vectors.paired_embeddings import EmbeddingPair
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.building.document_sync import BuildReport
from echo_index.indexer.catalog.fts_index import full_text_matches
from echo_index.indexer.catalog.generation_summary import document_failures, generation_counts
from echo_index.indexer.catalog.records import LexicalQuery, SearchFilter, StoredChunk
from echo_index.indexer.catalog.vector_codes import decode_vectors
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.indexer.sources.source import Source
from echo_index.indexer.storage.sqlite import Connection, Database
from echo_index.indexer.text.analyzer import earlier_query_terms, split_words

_WORD = re.compile(r"\S+")
_BATCH = 8


def token_starts(text: str) -> list[int]:
    """Return the offset of each word."""
    return [word.start() for word in _WORD.finditer(text)]


class WordEncoder:
    """Embeds texts as hashed bags of words, records them, and raises KeyboardInterrupt after `patience` texts.

    With `twice` it also returns classical vectors, which are those of the first half of each text.
    """

    def __init__(
        self, *, name: str = "words", dimension: int = 32, patience: int | None = None, twice: bool = True
    ) -> None:
        self.name = name
        self.dimension = dimension
        self.patience = patience
        self.twice = twice
        self.embedded: list[str] = []

    @property
    def fingerprint(self) -> str:
        return f"{self.name}-{self.dimension}"

    @property
    def max_tokens(self) -> int:
        return 256

    def config(self) -> dict[str, str | int | None]:
        return {"weights": self.name, "dimension": self.dimension}

    def differences(self, before: dict[str, Any]) -> list[str]:
        return [
            f"{name} was {before.get(name)!r} and is now {value!r}"
            for name, value in self.config().items()
            if before.get(name) != value
        ]

    def token_starts(self, text: str) -> list[int]:
        return token_starts(text)

    def encode_documents(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            for word in _WORD.findall(text.lower()):
                digest = hashlib.sha256(f"{self.name} {word}".encode()).digest()
                vector[digest[0] % self.dimension] += 1 if digest[1] % 2 else -1
            vector[0] += 0.5  # never all zero
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def encode_queries(self, texts: Sequence[str], *, instruction: str | None = None) -> npt.NDArray[np.float32]:
        return self.encode_documents(texts)

    def encode_query_pairs(self, texts: Sequence[str], *, instruction: str | None = None) -> EmbeddingPair:
        return self.embedding_pair(texts)

    def embedding_pair(self, texts: Sequence[str]) -> EmbeddingPair:
        halves = [text[: len(text) // 2] for text in texts]
        return EmbeddingPair(self.encode_documents(texts), self.encode_documents(halves) if self.twice else None)

    def encode_document_pairs(self, texts: Sequence[str]) -> Iterator[tuple[list[int], EmbeddingPair]]:
        """Yield batches of similar length, not in the order of the texts, like a real encoder."""
        order = sorted(range(len(texts)), key=lambda position: len(texts[position]))
        for start in range(0, len(texts), _BATCH):
            positions = order[start : start + _BATCH]
            if self.patience is not None and len(self.embedded) + len(positions) > self.patience:
                raise KeyboardInterrupt
            batch = [texts[position] for position in positions]
            self.embedded += batch
            yield positions, self.embedding_pair(batch)


_SEARCHED_OF_VERSION_3 = """
    CREATE VIEW searched AS
        SELECT chunks.id, chunks.text, documents.title, chunks.headings
        FROM chunks JOIN documents ON documents.id = chunks.document"""
_FULL_TEXT_OF_VERSION_2 = """
    CREATE VIRTUAL TABLE IF NOT EXISTS full_text USING fts5 (
        text, title, headings,
        content = 'searched', content_rowid = 'id', tokenize = 'porter unicode61 remove_diacritics 2')"""


_FULL_TEXT_OF_VERSION_3 = (
    """CREATE VIRTUAL TABLE terms USING fts5 (text, title, headings, tokenize = "ascii tokenchars '+#.'")""",
    """CREATE VIRTUAL TABLE exact_words USING fts5 (
        text, title, headings,
        content = 'searched', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2')""",
    "INSERT INTO exact_words (exact_words) VALUES ('rebuild')",
)


def make_version_8(path: Path) -> None:
    """Take the fields of documents out of a catalog, which schema version 8 did not have."""
    with closing(Database(path)) as database, database.transaction() as connection:
        connection.execute("ALTER TABLE documents DROP COLUMN fields")
        connection.execute("PRAGMA user_version = 8")


def make_version_7(path: Path) -> None:
    """Replace the vectors of a catalog by those of schema version 7, in half precision."""
    with closing(Database(path)) as database, database.transaction() as connection:
        _restore_half_precision(connection)
        connection.execute("ALTER TABLE documents DROP COLUMN fields")
        connection.execute("PRAGMA user_version = 7")


def _restore_half_precision(connection: Connection) -> None:
    for table, codes in (("vectors", "vector_codes"), ("classical_vectors", "classical_codes")):
        connection.execute(f"CREATE TABLE {table} (hash BLOB PRIMARY KEY, vector BLOB NOT NULL)")
        rows = connection.execute(f"SELECT DISTINCT hash, code FROM {codes} JOIN chunks ON chunks.id = chunk")
        for key, code in rows.fetchall():
            [vector] = decode_vectors(np.frombuffer(code, dtype=np.uint8)[None, :])
            connection.execute(f"INSERT INTO {table} VALUES (?, ?)", (key, vector.astype("<f2").tobytes()))
        connection.execute(f"DROP TABLE {codes}")
    connection.execute("DELETE FROM settings WHERE name = 'analyzer'")


def make_version_3(path: Path) -> None:
    """Replace the full text of a catalog by that of schema version 3, in which only accents are folded."""
    with closing(Database(path)) as database, database.transaction() as connection:
        for table in ("terms", "exact_words"):
            connection.execute(f"DROP TABLE {table}")
        _restore_half_precision(connection)
        _drop_later_columns(connection)
        for statement in _FULL_TEXT_OF_VERSION_3:
            connection.execute(statement)
        for chunk, text, language in connection.execute(
            "SELECT chunks.id, text, language FROM chunks JOIN documents ON documents.id = document"
        ).fetchall():
            terms = [term for word in split_words(text) for term in earlier_query_terms(word, [language])]
            connection.execute("INSERT INTO terms VALUES (?, '', '')", (" ".join(terms),))
            assert chunk == connection.execute("SELECT last_insert_rowid()").fetchone()[0]
        connection.execute("DELETE FROM settings WHERE name = 'basic_letters'")
        connection.execute("PRAGMA user_version = 3")


def make_version_2(path: Path) -> None:
    """Replace the tables of a catalog by those of schema version 2, with English stems as full text."""
    with closing(Database(path)) as database, database.transaction() as connection:
        connection.execute("DROP TABLE terms")
        connection.execute("DROP TABLE exact_words")
        connection.execute("DROP INDEX documents_of_language")
        connection.execute("ALTER TABLE documents DROP COLUMN language")
        _restore_half_precision(connection)
        _drop_later_columns(connection)
        connection.execute(_FULL_TEXT_OF_VERSION_2)
        connection.execute("INSERT INTO full_text (full_text) VALUES ('rebuild')")
        connection.execute("PRAGMA user_version = 2")


def _drop_later_columns(connection: Connection) -> None:
    """Drop what was added to the tables of documents and chunks after schema version 3."""
    connection.execute("DROP VIEW searched")
    for column in ("omissions", "recognition", "archive", "fields"):
        connection.execute(f"ALTER TABLE documents DROP COLUMN {column}")
    for column in ("place", "table_header", "anchors", "recognition"):
        connection.execute(f"ALTER TABLE chunks DROP COLUMN {column}")
    connection.execute(_SEARCHED_OF_VERSION_3)


def _content(found: StoredChunk) -> tuple[object, ...]:
    chunk = found.chunk
    return (found.path, found.title, found.format, chunk.start, chunk.end, chunk.text, chunk.headings, chunk.line)


def write(folder: Path, **files: str) -> None:
    """Write Markdown files by name; `__` in a name separates folders."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def full_text_is_right(path: Path) -> bool:
    """Return whether the full text of a catalog is that of its chunks."""
    with closing(Database(path)) as database, database.transaction() as connection:
        return full_text_matches(connection)


def build(
    folder: Path | Sequence[Path],
    index_dir: Path,
    encoder: WordEncoder | None = None,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    **options: Any,
) -> BuildReport:
    """Build an index with short chunks, so that a few lines give several."""
    folders = [folder] if isinstance(folder, Path) else folder
    options = {"chunking": Chunking(12, 3), **options}
    sources = [Source.parse(str(path), include=include, exclude=exclude) for path in folders]
    return build_index(sources, index_dir, encoder=encoder or WordEncoder(), **options)  # type: ignore[arg-type]


def documents(index_dir: Path) -> dict[str, list[str]]:
    """Return the texts of the chunks of each document that readers see."""
    texts: dict[str, list[str]] = {}
    snapshot = open_snapshot(index_dir, index_device="cpu")
    with closing(snapshot.catalog) as catalog:
        ids = catalog.chunk_ids(SearchFilter(), generation=snapshot.manifest.generation)
        for found in catalog.chunks([*map(int, ids)]).values():
            texts.setdefault(found.path, []).append(found.chunk.text)
    return dict(sorted(texts.items()))


def contents(index_dir: Path) -> dict[str, Any]:
    """Return everything that readers see except ids, dates, generations and BM25 scores."""
    snapshot = open_snapshot(index_dir, index_device="cpu")
    generation = snapshot.manifest.generation
    with closing(snapshot.catalog) as catalog:
        ids = [int(key) for key in catalog.chunk_ids(SearchFilter(), generation=generation)]
        chunks = catalog.chunks(ids)
        vectors = {
            chunks[int(key)].chunk.hash: vector.tolist()
            for keys, block in catalog.vectors(generation=generation)
            for key, vector in zip(keys, block, strict=True)
        }
        hits: dict[str, Any] = {}
        for query in ("whales in the deep sea", "bread and salt", "nothing of the kind"):
            [vector] = WordEncoder().encode_queries([query])
            dense = snapshot.nearest(snapshot.normalization.normalize_query(vector), k=len(ids), where=SearchFilter())
            lexical = snapshot.matching(LexicalQuery(tuple(query.split())), k=len(ids), where=SearchFilter())
            hits[query] = (
                sorted((round(score, 5), *_content(chunks[key])) for key, score in dense),
                sorted(_content(chunks[key]) for key, _ in lexical),
            )
        return {
            "chunks": sorted(map(_content, chunks.values())),
            "vectors": vectors,
            "hits": hits,
            "counts": generation_counts(catalog, generation=generation),
            "failures": document_failures(catalog, generation=generation),
            "canaries": snapshot.manifest.canaries,
        }
