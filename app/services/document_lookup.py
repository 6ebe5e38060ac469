"""Find the document that a name means, in one index or in several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from echo_index.app.services.document_parts import DocumentPart, split_location
from echo_index.app.services.index_service import IndexService
from echo_index.errors import DocumentError

if TYPE_CHECKING:
    from echo_index.indexer.stores.index_reader import IndexReader

_MAX_LOOKUP = 10_000  # characters of a name that is looked for
_MAX_NAME = 200  # characters of a name in an error


@dataclass(frozen=True)
class FoundDocument:
    """A document of an index, and the part of it that was named. `collection` is the name of the index."""

    collection: str
    path: str
    part: DocumentPart


def find_document(service: IndexService, name: str, *, collection: str = "") -> FoundDocument:
    """Return the document that a name means exactly, in one collection or in any.

    Where there are several collections, "work: notes.md:7" names the collection, too, as the location of a hit does.

    Raises:
        CollectionError: there is no such collection.
        DocumentError: no index has such a document, or several have one.
    """
    if not collection and service.has_several:
        prefix, colon, rest = name.partition(": ")
        if colon and prefix in service.chosen(()):
            collection, name = prefix, rest
    chosen = service.chosen([collection] if collection else ())
    is_name = len(name) <= _MAX_LOOKUP and _is_text(name)
    found = [
        FoundDocument(each, *document)
        for each in (chosen if is_name else ())
        if (document := service.with_reader(lambda reader: _document(reader, name), collection=each)) is not None
    ]
    if len(found) > 1:
        raise DocumentError(
            f"Several collections have a document {_shown(name)}: {', '.join(each.collection for each in found)}.",
            remedy=f"Name the collection, too: {found[0].collection}: {_shown(name)}",
        )
    if not found:
        alike = _alike(service, name, chosen)
        here = "in these indexes" if len(chosen) > 1 else "in this index"
        raise DocumentError(
            f"There is no document {_shown(name)} {here}.",
            remedy=f"There is {_shown(alike)}." if alike else "Find its name with search or list_documents.",
        )
    return found[0]


def unknown_paths(service: IndexService, names: Sequence[str], collections: Sequence[str]) -> str:
    """Return a sentence about the names that match no document of these collections, or an empty text."""
    from echo_index.indexer.catalog.document_names import named_documents

    if not names:
        return ""
    documents = [(_paths(service, each), service.find(each).index) for each in service.chosen(collections)]
    unknown = [name for name in names if not any(named_documents(name, paths, index) for paths, index in documents)]
    return f"No document matches {', '.join(_shown(name) for name in unknown)}." if unknown else ""


def _document(reader: IndexReader, name: str) -> tuple[str, DocumentPart] | None:
    return split_location(name, lambda path: reader.documents.find(path) is not None)


def _alike(service: IndexService, name: str, collections: Sequence[str]) -> str | None:
    """Return a document with the same file name, with its collection where there are several."""
    file = name.replace("\\", "/").rpartition("/")[2].casefold()
    for collection in collections if file else ():
        for path in _paths(service, collection):
            if path.rpartition("/")[2].casefold() in (file, f"{file}.md"):
                return f"{collection}: {path}" if service.has_several else path
    return None


def _paths(service: IndexService, collection: str) -> dict[str, str]:
    from echo_index.indexer.inspection.document_queries import paths_with_archives

    return service.with_reader(paths_with_archives, collection=collection)


def _is_text(name: str) -> bool:
    """Return whether a name can be stored: halves of a character cannot."""
    return all(not "\ud800" <= character <= "\udfff" for character in name)


def _shown(name: str) -> str:
    """Return a name as an error shows it: in one line and not too long; quoted if it is not printable."""
    name = name if len(name) <= _MAX_NAME else f"{name[:_MAX_NAME]}…"
    return name if name and name.isprintable() else repr(name)
