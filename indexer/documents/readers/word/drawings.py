"""Find the words in drawings: text boxes, WordArt, charts, diagrams, and alternative texts of pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.word.markup import (
    attribute,
    child,
    descendants,
    name,
    outermost,
    own_text,
    value,
)
from echo_index.indexer.documents.readers.word.package import Package

if TYPE_CHECKING:
    from lxml.etree import _Element

_FILE_NAME = re.compile(r"\S*\.(?:png|jpe?g|gif|bmp|tiff?|svg|wmf|emf|webp)", re.IGNORECASE)


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
    relations = package.relations(part)
    for element in outermost(drawing, "a:p", "c:chart", "cx:chart", "dgm:relIds", "w:txbxContent"):
        if name(element) == "a:p":
            texts.append(_paragraph(element))
        elif name(element) in {"c:chart", "cx:chart"}:
            relation = relations.get(attribute(element, "r:id"))
            root = package.xml(relation.target, content="a chart") if relation else None
            texts += [] if root is None else _chart(root)
        elif name(element) == "dgm:relIds":
            relation = relations.get(attribute(element, "r:dm"))
            root = package.xml(relation.target, content="a diagram") if relation else None
            texts += [] if root is None else _diagram(root)
    texts += [path.get("string", "") for path in descendants(drawing, "v:textpath")]
    if not any(texts) and not text_boxes(drawing):
        texts += _alternative_texts(drawing)
    return [*dict.fromkeys(filter(None, map(str.strip, texts)))]


def _alternative_texts(drawing: _Element) -> Iterator[str]:
    for element in drawing.iter():
        kind = name(element)
        if kind == "wp:docPr" or kind.endswith("cNvPr"):
            yield _description(element.get("descr", "") or element.get("title", ""))
        elif kind in {"v:shape", "v:rect", "v:group"}:
            yield _description(element.get("alt", ""))


def _description(text: str) -> str:
    """Return an alternative text on one line; the name of a picture's file, which programs fill in, is none."""
    words = " ".join(text.split())
    return "" if _FILE_NAME.fullmatch(words) else words


def _paragraph(paragraph: _Element) -> str:
    return "".join(own_text(run) for run in descendants(paragraph, "a:t"))


def _chart(root: _Element) -> list[str]:
    """Return the titles, series, categories and shown values of a chart, the last three joined to one text each."""
    texts = [
        " ".join([*map(_paragraph, descendants(title, "a:p")), *map(own_text, descendants(title, "c:v", "cx:v"))])
        for title in descendants(root, "c:title", "cx:title")
    ]
    texts += [" | ".join(points) for points in _of_each(root, "cx:strDim", "cx:pt")]
    names = [own_text(text) for series in descendants(root, "c:ser") for text in _name_of_series(series)]
    names_title = len(names) == 1 and value(root, "c:chart", "c:autoTitleDeleted") != "1"
    if names_title or child(root, "c:chart", "c:legend") is not None:
        texts.append(" | ".join(names))
    texts += [" | ".join(points) for points in _of_each(root, "c:cat", "c:v")]
    has_table = child(root, "c:chart", "c:plotArea", "c:dTable") is not None
    if has_table or any(value(labels, "c:showVal") == "1" for labels in descendants(root, "c:dLbls")):
        texts += [" | ".join(points) for points in _of_each(root, "c:val", "c:v")]
    return texts


def _name_of_series(series: _Element) -> Iterator[_Element]:
    text = child(series, "c:tx")
    return descendants(text, "c:v") if text is not None else iter(())


def _of_each(root: _Element, outer: str, inner: str) -> Iterator[list[str]]:
    for element in descendants(root, outer):
        yield [own_text(point).strip() for point in descendants(element, inner)]


def _diagram(root: _Element) -> list[str]:
    """Return the texts of the points of a diagram, without the prompts of those that nobody filled in."""
    return [
        _paragraph(paragraph)
        for point in descendants(root, "dgm:pt")
        if not _is_prompt(point)
        for paragraph in descendants(point, "a:p")
    ]


def _is_prompt(point: _Element) -> bool:
    settings = child(point, "dgm:prSet")
    return settings is not None and settings.get("phldr", "") in {"1", "true"}
