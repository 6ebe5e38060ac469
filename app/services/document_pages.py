"""Pages of the list of documents, over one collection or several."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from echo_index.app.services.index_service import IndexService

if TYPE_CHECKING:
    from echo_index.indexer.catalog.chunk_queries import DocumentSelection
    from echo_index.indexer.inspection.document_queries import ListedDocument


def page_of_collections(
    service: IndexService, selection: DocumentSelection, *, collections: Sequence[str] = (), offset: int, limit: int
) -> tuple[list[tuple[str, ListedDocument]], int]:
    """Return up to `limit` of the selected documents, from `offset` on, and how many there are.

    They are ordered by collection and path, each with the name of its collection, empty if there is only one.

    Raises:
        CollectionError: there is no collection of that name.
    """
    from echo_index.indexer.inspection.document_queries import page_documents

    found: list[tuple[str, ListedDocument]] = []
    total = 0
    for name in service.chosen(collections):
        page, count = service.with_reader(
            partial(page_documents, selection=selection, offset=max(0, offset - total), limit=limit - len(found)),
            collection=name,
        )
        found += [(service.shown(name), document) for document in page]
        total += count
    return found, total
