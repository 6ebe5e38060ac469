"""Find the words in drawings: text boxes, WordArt, charts, diagrams, and alternative texts of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.office.drawings import (
    DRAWN_PARTS,
    description,
    plain_paragraph,
    words_of_part,
)
from echo_index.indexer.documents.readers.office.markup import child, descendants, name, outermost
from echo_index.indexer.documents.readers.office.package import Package

if TYPE_CHECKING:
    from lxml.etree import _Element


def text_boxes(drawing: _Element) -> list[_Element]:
    """Return the contents of the text boxes in a drawing of either kind, outermost first."""
    return [*outermost(drawing, "w:txbxContent")]


def is_hidden(drawing: _Element) -> bool:
    """Return whether a drawing is switched off."""
    properties = child(drawing, "wp:inline", "wp:docPr")
    properties = child(drawing, "wp:anchor", "wp:docPr") if properties is None else properties
    return properties is not None and properties.get("hidden", "") in {"1", "true"}


def words_of_drawing(drawing: _Element, package: Package, *, part: str) -> list[str]:
    """Return the texts of a drawing that stand in no text box, and its alternative texts, each once."""
    texts: list[str] = []
    for element in outermost(drawing, "a:p", *DRAWN_PARTS, "w:txbxContent"):
        if name(element) == "a:p":
            texts.append(plain_paragraph(element))
        elif name(element) in DRAWN_PARTS:
            texts += words_of_part(element, package, part=part)
    texts += [path.get("string", "") for path in descendants(drawing, "v:textpath")]
    if not any(texts) and not text_boxes(drawing):
        texts += _alternative_texts(drawing)
    return [*dict.fromkeys(filter(None, map(str.strip, texts)))]


def _alternative_texts(drawing: _Element) -> Iterator[str]:
    for element in drawing.iter():
        kind = name(element)
        if kind == "wp:docPr" or kind.endswith("cNvPr"):
            yield description(element.get("descr", "") or element.get("title", ""))
        elif kind in {"v:shape", "v:rect", "v:group"}:
            yield description(element.get("alt", ""))
