"""Find the words that stand over the cells of a sheet of an XLSX file: text boxes, charts, diagrams, and notes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.invisible import without_invisible
from echo_index.indexer.documents.readers.office.drawings import (
    DRAWN_PARTS,
    description,
    plain_paragraph,
    words_of_part,
)
from echo_index.indexer.documents.readers.office.markup import descendants, own_text
from echo_index.indexer.documents.readers.office.package import Package

if TYPE_CHECKING:
    from lxml.etree import _Element

_CELL = re.compile(r"[A-Z]{1,3}(\d{1,7})")

RowText = tuple[int, str]
"""The number of the row that a text begins at, from 1, and the text, which may have several lines."""


def drawn_texts(package: Package, sheet_part: str) -> list[RowText]:
    """Return the texts over the cells of a sheet by their rows, each once."""
    texts = [*_drawings(package, sheet_part), *_notes(package, sheet_part)]
    return sorted(dict.fromkeys(texts), key=lambda text: text[0])


def _drawings(package: Package, sheet_part: str) -> Iterator[RowText]:
    for part in package.related(sheet_part, "drawing"):
        root = package.xml(part, content="drawings")
        for anchor in root if root is not None else ():
            row = anchor.findtext("{*}from/{*}row", default="0")
            if lines := [line for line in map(_one_line, _words(anchor, package, part)) if line]:
                yield (int(row) + 1 if row.isdecimal() and len(row) < 8 else 1), "\n".join(dict.fromkeys(lines))


def _words(anchor: _Element, package: Package, part: str) -> Iterator[str]:
    yield from map(plain_paragraph, descendants(anchor, "a:p"))
    for element in descendants(anchor, *DRAWN_PARTS):
        yield from words_of_part(element, package, part=part)
    for properties in anchor.iterfind(".//{*}cNvPr"):
        yield description(properties.get("descr", ""))


def _notes(package: Package, sheet_part: str) -> Iterator[RowText]:
    """Yield notes and comments. A comment with replies is stored as a note, too, which asks for a newer program."""
    threads = [comment for part in package.related(sheet_part, "threadedComment") for comment in _all(package, part)]
    notes = [comment for part in package.related(sheet_part, "comments") for comment in _all(package, part)]
    discussed = {comment.get("ref") for comment in threads}
    for comment in [*threads, *(note for note in notes if note.get("ref") not in discussed)]:
        cell = _CELL.fullmatch(comment.get("ref", ""))
        text = _one_line(" ".join(own_text(part) for part in comment.iterfind(".//{*}t")) or _own_text(comment))
        if cell and text:
            yield int(cell[1]), f"Note on {cell[0]}: {text}"


def _all(package: Package, part: str) -> Iterator[_Element]:
    root = package.xml(part, content="notes")
    if root is not None:
        yield from root.iterfind(".//{*}comment")
        yield from root.iterfind("{*}threadedComment")


def _own_text(comment: _Element) -> str:
    return comment.findtext("{*}text", default="")


def _one_line(text: str) -> str:
    return " ".join(without_invisible(text).split())
