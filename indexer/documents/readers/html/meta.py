"""Read what a page says of itself in the `meta` elements of its head."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from echo_index.indexer.documents.fields import Field, collect_fields, common_field

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser

_MAX_ELEMENTS = 500
_NAMES = {
    **dict.fromkeys(("author", "article:author", "dc.creator", "dcterms.creator", "citation_author"), "author"),
    **dict.fromkeys(
        (
            *("date", "dc.date", "dcterms.date", "dcterms.created", "dcterms.issued", "article:published_time"),
            *("citation_date", "citation_publication_date", "datepublished", "pubdate"),
        ),
        "date",
    ),
    **dict.fromkeys(("dcterms.modified", "article:modified_time", "last-modified"), "changed"),
    **dict.fromkeys(("keywords", "citation_keywords"), "keywords"),
    **dict.fromkeys(("description", "dc.description", "dcterms.description"), "description"),
    **dict.fromkeys(("publisher", "dc.publisher", "dcterms.publisher", "citation_publisher"), "publisher"),
    **dict.fromkeys(("dc.language", "dcterms.language", "citation_language"), "language"),
    "article:tag": "tags",
    "article:section": "section",
    "citation_journal_title": "journal",
    "dc.subject": "subject",
}
"""The names of `meta` elements that are of use to readers, and those of their fields."""


def meta_fields(tree: LexborHTMLParser) -> tuple[Field, ...]:
    """Return the author, the dates and the like of a page."""
    return collect_fields(_found(tree))


def _found(tree: LexborHTMLParser) -> Iterator[tuple[str, object]]:
    for element in tree.css("head > meta[content]")[:_MAX_ELEMENTS]:
        attributes = element.attributes
        for key in ("name", "property", "itemprop", "http-equiv"):
            if field := _NAMES.get((attributes.get(key) or "").strip().lower()):
                yield common_field(field, attributes.get("content") or "")
                break
