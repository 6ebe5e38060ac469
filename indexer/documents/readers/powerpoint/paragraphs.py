"""Read the paragraphs of shapes and cells as PowerPoint shows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.invisible import without_invisible
from echo_index.indexer.documents.readers.office.equations import linear_equation
from echo_index.indexer.documents.readers.office.markup import child, descendants, name, own_text, shown_children
from echo_index.indexer.documents.readers.office.symbols import is_symbol_font, symbol_text
from echo_index.indexer.documents.readers.powerpoint.bullets import Bullets
from echo_index.indexer.documents.readers.scripts import with_superscripts

if TYPE_CHECKING:
    from lxml.etree import _Element

_PRIVATE_USE = range(0xF000, 0xF100)  # where the signs of symbol fonts are
_SIGN_FONTS = ("a:sym", "a:latin")


def text_of(body: _Element | None, styles: list[_Element]) -> str:
    """Return the text of a shape, a line for each paragraph. `styles` are its list styles, the nearest first."""
    if body is None:
        return ""
    bullets = Bullets(styles)
    lines: list[str] = []
    for paragraph in descendants(body, "a:p"):
        text = paragraph_text(paragraph).strip()
        if text:  # an empty paragraph has no bullet, and no number
            lines.append(bullets.label(paragraph) + text)
    return "\n".join(lines)


def paragraph_text(paragraph: _Element) -> str:
    """Return the text of a paragraph, with superscripts that can be told from what they stand behind."""
    return without_invisible(with_superscripts(_pieces(paragraph)))


def _pieces(element: _Element) -> Iterator[tuple[str, bool]]:
    """Yield the pieces of a text, each with whether it is raised."""
    for inner in shown_children(element):
        kind = name(inner)
        if kind == "a:r" or (kind == "a:fld" and not _is_of_the_day(inner)):
            yield _run(inner)
        elif kind == "a:br":
            yield "\n", False
        elif kind in {"m:oMath", "m:oMathPara"}:
            yield linear_equation(inner), False
        elif kind not in {"a:fld", "a:pPr", "a:endParaRPr"}:  # what a later version has put around others
            yield from _pieces(inner)


def _is_of_the_day(field: _Element) -> bool:
    """Return whether a field shows the number of a slide, or the time at which somebody looks."""
    return field.get("type", "").startswith(("slidenum", "datetime"))


def _run(run: _Element) -> tuple[str, bool]:
    found, properties = child(run, "a:t"), child(run, "a:rPr")
    text = own_text(found).replace("\v", "\n") if found is not None else ""
    if properties is None:
        return text, False
    for step in _SIGN_FONTS:
        named = child(properties, step)
        font = named.get("typeface", "") if named is not None else ""
        if is_symbol_font(font):
            is_whole = step == "a:latin"
            text = "".join(
                symbol_text(character, font=font) if is_whole or ord(character) in _PRIVATE_USE else character
                for character in text
            )
    raised = properties.get("baseline", "").rstrip("%")
    return text, bool(raised) and not raised.startswith("-") and raised.strip("0.") != ""
