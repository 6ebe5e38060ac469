"""Find the words in DrawingML: paragraphs, charts, diagrams, and alternative texts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.office.markup import attribute, child, descendants, name, own_text, value
from echo_index.indexer.documents.readers.office.number_format import is_date_format, number_text
from echo_index.indexer.documents.readers.office.package import Package

if TYPE_CHECKING:
    from lxml.etree import _Element

DRAWN_PARTS = ("c:chart", "cx:chart", "dgm:relIds")
"""The elements of a drawing that refer to a chart or a diagram in a part of its own."""

_NUMBER = re.compile(r"-?\d{1,20}(?:\.\d{1,20})?(?:E[-+]?\d{1,2})?")
_DAY_ZERO, _MAX_DAY = datetime(1899, 12, 30), 2_958_466  # days are counted from there up to the year 9999
_FILE_NAME = re.compile(r"\S*\.(?:png|jpe?g|gif|bmp|tiff?|svg|wmf|emf|webp)", re.IGNORECASE)


def words_of_part(element: _Element, package: Package, *, part: str) -> list[str]:
    """Return the words of the chart or the diagram to which an element of `part` refers."""
    relations = package.relations(part)
    if name(element) == "dgm:relIds":
        relation = relations.get(attribute(element, "r:dm"))
        root = package.xml(relation.target, content="a diagram") if relation else None
        return [] if root is None else _diagram(root)
    relation = relations.get(attribute(element, "r:id"))
    root = package.xml(relation.target, content="a chart") if relation else None
    return [] if root is None else _chart(root)


def description(text: str) -> str:
    """Return an alternative text on one line; the name of a picture's file, which programs fill in, is none."""
    words = " ".join(text.split())
    return "" if _FILE_NAME.fullmatch(words) else words


def plain_paragraph(paragraph: _Element) -> str:
    """Return the text of a paragraph of a drawing without regard to its format."""
    return "".join(own_text(run) for run in descendants(paragraph, "a:t"))


def _chart(root: _Element) -> list[str]:
    """Return the titles, series, categories and shown values of a chart, the last three joined to one text each."""
    texts = [
        " ".join([*map(plain_paragraph, descendants(title, "a:p")), *map(own_text, descendants(title, "c:v", "cx:v"))])
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
        codes = [own_text(code) for code in descendants(element, "c:formatCode")]
        code = codes[0] if codes else ""
        yield [_shown(own_text(point).strip(), code) for point in descendants(element, inner)]


def _shown(text: str, code: str) -> str:
    """Return a value of a chart as it is shown: by its format code if it is a number, dates as 2024-03-01."""
    if not code or not _NUMBER.fullmatch(text):
        return text
    number = float(text)
    if is_date_format(code):
        return (_DAY_ZERO + timedelta(days=number)).date().isoformat() if 0 < number < _MAX_DAY else text
    return number_text(number, code, general=text)


def _diagram(root: _Element) -> list[str]:
    """Return the texts of the points of a diagram, without the prompts of those that nobody filled in."""
    return [
        plain_paragraph(paragraph)
        for point in descendants(root, "dgm:pt")
        if not _is_prompt(point)
        for paragraph in descendants(point, "a:p")
    ]


def _is_prompt(point: _Element) -> bool:
    settings = child(point, "dgm:prSet")
    return settings is not None and settings.get("phldr", "") in {"1", "true"}
