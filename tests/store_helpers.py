"""What readers see of an index in a store, and what it holds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from indexer_helpers import WordEncoder

from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.stores.location import StoreLocation
from echo_index.indexer.stores.milvus.connection import connected
from echo_index.indexer.stores.milvus.heads import read_heads
from echo_index.indexer.stores.milvus.snapshot import open_milvus_snapshot
from echo_index.retriever.search.hits import Hit
from echo_index.retriever.search.retriever import Retriever


def open_retriever(place: Path | str, encoder: WordEncoder | None = None) -> Retriever:
    """Open an index with the encoder of the tests."""
    return Retriever.open(place, encoder=encoder or WordEncoder())  # type: ignore[arg-type]


def seen(place: Path | str) -> dict[str, list[str]]:
    """Return the texts of the chunks of each document that readers of an index see, in a folder or a store."""
    return open_retriever(place).with_reader(
        lambda reader: {
            path: [stored.chunk.text for stored in reader.documents.chunks(path)]
            for path, *_ in reader.documents.listed()
        }
    )


def found(retriever: Retriever, query: str = "a", *, k: int = 1000) -> Counter[tuple[str, int]]:
    """Return the places of all chunks that a dense search finds, with how often it finds each."""
    return Counter((hit.source, hit.start) for hit in retriever.search(query, k=k, mode="dense"))


def places(hits: list[Hit]) -> list[tuple[str, int]]:
    """Return the places of hits."""
    return [(hit.source, hit.start) for hit in hits]


def leftovers(store: str) -> dict[str, int]:
    """Return what a store holds beside the newest generation: collections, documents and passages, by their numbers."""
    location = StoreLocation.parse(store)
    snapshot = open_milvus_snapshot(location)
    edition = snapshot.head.edition
    with connected(location) as connection:
        own = {name for name in connection.names() if name.startswith(location.name)}
        documents = connection.count(edition.documents, "id >= 0")
        passages = connection.count(edition.passages, "id >= 0")
        begun = len(connection.query(location.name, 'id == "begun"', ["id"]))
        heads = read_heads(connection, location.name)
    used = {name for head in heads for name in (head.edition.documents, head.edition.passages)}
    return {
        "collections": len(own - used - {location.name}),
        "documents": documents - len(snapshot.documents.archives()),
        "passages": passages - snapshot.manifest.chunks,
        "begun": begun,
    }


ALL = SearchFilter()
NOTHING_LEFT = {"collections": 0, "documents": 0, "passages": 0, "begun": 0}
