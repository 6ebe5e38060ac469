"""The collections of an index in Milvus, and their fields.

An index called NAME has one collection NAME for what its generations are, see `heads`, and for each edition a
collection of its documents and one of its passages. A rebuild, another model or another normalization begins a new
edition, as it changes all vectors.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from echo_index.indexer.catalog.records import SearchFilter

if TYPE_CHECKING:
    from pymilvus import CollectionSchema

    from echo_index.indexer.stores.milvus.connection import MilvusConnection

MOST_BYTES = 65_535
"""Of a text field, in UTF-8."""
VECTOR, BM25 = "vector", "bm25"
PASSAGE_FIELDS = ("id", "path", "title", "format", "text", "record")
"""What a passage is made from, see `rows.stored_passage`."""
KEY_LENGTH = 16  # of an edition
_NO_VECTOR_DIMENSION = 2  # each collection must have vectors, even if it is never searched by them
NO_VECTOR = [0.0] * _NO_VECTOR_DIMENSION
_EXACT_UP_TO = 1_000_000  # passages whose vectors Milvus compares one by one: a search takes some tens of milliseconds
_HNSW = {"M": 16, "efConstruction": 200}
_LEAST_EF = 256  # candidates of a search in an HNSW graph
BM25_K1, BM25_B = 1.2, 0.75  # as FTS5 has them
NO_FILTER = SearchFilter()


@dataclass(frozen=True, slots=True)
class Edition:
    """The collections of one edition. `ranks_words` tells whether the passages can be ranked by BM25."""

    name: str
    key: str
    ranks_words: bool
    is_exact: bool

    @property
    def passages(self) -> str:
        """The collection of passages."""
        return f"{self.name}_{self.key}_passages"

    @property
    def documents(self) -> str:
        """The collection of documents."""
        return f"{self.name}_{self.key}_documents"

    @property
    def search_parameters(self) -> dict[str, Any]:
        """The parameters of a search by vectors."""
        return {} if self.is_exact else {"ef": _LEAST_EF}


def edition_key(*parts: str) -> str:
    """Return the key of an edition for the texts that its vectors depend on."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:KEY_LENGTH]


def new_edition(name: str, key: str, connection: MilvusConnection, *, passages: int) -> Edition:
    """Return an edition that will hold so many passages at first."""
    return Edition(name, key, ranks_words=connection.has_bm25, is_exact=passages <= _EXACT_UP_TO)


def create_control(connection: MilvusConnection, name: str) -> None:
    """Create the collection that says which generations there are, unless it is there."""
    schema = _schema()
    _texts(schema, "id", primary=True)
    _numbers(schema, "number", "part")
    _texts(schema, "text")
    connection.create(name, schema, _without_vectors(schema))


def create_collections(connection: MilvusConnection, edition: Edition, *, dimension: int) -> None:
    """Create the collections of an edition, unless they are there."""
    documents = _schema()
    _numbers(documents, "id", primary=True)
    _numbers(documents, "added", "passages", "size", "modified_ns")
    _texts(documents, "digest", "path", "archive", "format", "title", "record", "fields")
    connection.create(edition.documents, documents, _without_vectors(documents))
    passages = _schema()
    _numbers(passages, "id", primary=True)
    _numbers(passages, "document", "added", "start", "stop")
    _texts(passages, "path", "title", "format", "text", "record", "words")
    connection.create(edition.passages, passages, _vector_indexes(passages, edition, dimension))


def _vector_indexes(schema: CollectionSchema, edition: Edition, dimension: int) -> dict[str, dict[str, Any]]:
    from pymilvus import DataType, Function, FunctionType

    schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=dimension)
    dense = {"index_type": "FLAT"} if edition.is_exact else {"index_type": "HNSW", "params": _HNSW}
    indexes: dict[str, dict[str, Any]] = {VECTOR: {"metric_type": "IP", **dense}}
    if edition.ranks_words:
        analyzer = {"tokenizer": "standard"}
        schema.add_field(
            "terms", DataType.VARCHAR, max_length=MOST_BYTES, enable_analyzer=True, analyzer_params=analyzer
        )
        schema.add_field(BM25, DataType.SPARSE_FLOAT_VECTOR)
        schema.add_function(Function(BM25, FunctionType.BM25, input_field_names=["terms"], output_field_names=[BM25]))
        parameters = {"bm25_k1": BM25_K1, "bm25_b": BM25_B}
        indexes[BM25] = {"index_type": "SPARSE_INVERTED_INDEX", "metric_type": "BM25", "params": parameters}
    return indexes


def _without_vectors(schema: CollectionSchema) -> dict[str, dict[str, Any]]:
    from pymilvus import DataType

    schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=_NO_VECTOR_DIMENSION)
    return {VECTOR: {"index_type": "FLAT", "metric_type": "IP"}}


def _schema() -> CollectionSchema:
    from pymilvus import MilvusClient

    return MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)


def _texts(schema: CollectionSchema, *names: str, primary: bool = False) -> None:
    from pymilvus import DataType

    for name in names:
        schema.add_field(name, DataType.VARCHAR, max_length=256 if primary else MOST_BYTES, is_primary=primary)


def _numbers(schema: CollectionSchema, *names: str, primary: bool = False) -> None:
    from pymilvus import DataType

    for name in names:
        schema.add_field(name, DataType.INT64, is_primary=primary)
