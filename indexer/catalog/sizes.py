"""Measure how much of a catalog the vectors, the full text and the texts of the passages are."""

from __future__ import annotations

from dataclasses import dataclass

from echo_index.indexer.catalog.catalog import Catalog

_VECTORS = {
    "vector_codes": "length(code)",
    "classical_codes": "length(code)",
    "vectors": "length(vector)",
    "classical_vectors": "length(vector)",
}
_FULL_TEXT = {
    "terms_data": "length(block)",
    "terms_docsize": "length(sz)",
    "terms_content": "length(CAST(c0 || c1 || c2 AS BLOB))",
    "exact_words_data": "length(block)",
    "exact_words_docsize": "length(sz)",
    "full_text_data": "length(block)",
    "full_text_docsize": "length(sz)",
}
"""The tables of this and of earlier versions, and the SQL of what a row of them holds, in bytes."""


@dataclass(frozen=True, slots=True)
class CatalogSizes:
    """Bytes of the vectors, the full text, and the texts of all chunks that a catalog stores."""

    vectors: int
    full_text: int
    text: int


def catalog_sizes(catalog: Catalog) -> CatalogSizes:
    """Return the sizes of a catalog's parts, without what SQLite needs to find them."""
    database = catalog.database
    tables = {name for (name,) in database.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def total(sizes: dict[str, str]) -> int:
        return sum(
            int(database.value(f"SELECT coalesce(sum({size}), 0) FROM {table}"))
            for table, size in sizes.items()
            if table in tables
        )

    return CatalogSizes(
        vectors=total(_VECTORS), full_text=total(_FULL_TEXT), text=total({"chunks": "length(CAST(text AS BLOB))"})
    )
