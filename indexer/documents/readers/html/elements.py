"""The elements of HTML that a browser shows as something else than their text, and what attributes say of others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.html.list_numbers import ListNumbers
from echo_index.indexer.documents.readers.html.mathml import linear_formula
from echo_index.indexer.documents.readers.html.text_builder import HEADINGS, Element
from echo_index.indexer.documents.readers.scripts import superscript

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

_REPLACED = {"img", "input", "textarea", "select", "math", "rt", "rtc"}
_PREFORMATTED = {"pre", "xmp", "listing", "plaintext"}
# Of other kinds of input a browser shows no text.
_TEXT_INPUTS = {
    "",
    "text",
    "search",
    "url",
    "tel",
    "email",
    "number",
    "date",
    "time",
    "datetime-local",
    "month",
    "week",
}
_HEADING_LEVELS = range(1, 7)
_LAYOUT_ROLES = {"presentation", "none"}

# A superscript is short and has no blocks. Anything else is only set smaller.
_MAX_SUPERSCRIPT_LENGTH = 40
_MAX_SUPERSCRIPT_NODES = 30
# fmt: off
_WITHIN_SUPERSCRIPT = {
    "a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "del", "em", "font", "i", "ins", "kbd", "mark", "s", "samp",
    "small", "span", "strong", "sub", "sup", "time", "u", "var", "wbr",
}
# fmt: on
_INTEGER = re.compile(r"\s*([-+]?\d{1,9})")


def element_of(node: LexborNode) -> Element:
    """Return an element as text is built from it."""
    tag = (node.tag or "").lower()
    if tag in {"td", "th"}:
        attributes = node.attributes
        return Element(
            tag,
            colspan=_integer(attributes.get("colspan"), 1),
            rowspan=_integer(attributes.get("rowspan"), 1),
        )
    if tag == "table":
        return Element(tag, is_layout=node.attributes.get("role") in _LAYOUT_ROLES)
    if tag == "ol":
        return Element(tag, numbers=_numbers(node))
    if tag == "li":
        value = node.attributes.get("value")
        return Element(tag, number=_integer(value, 1) if value and _INTEGER.match(value) else None)
    if tag in _PREFORMATTED:
        return Element("pre")
    return Element(_heading_tag(node, tag))


def _heading_tag(node: LexborNode, tag: str) -> str:
    attributes = node.attributes
    if attributes.get("role") != "heading":
        return tag
    level = _integer(attributes.get("aria-level"), HEADINGS.get(tag, 2))
    return f"h{min(max(level, _HEADING_LEVELS[0]), _HEADING_LEVELS[-1])}"


def _numbers(node: LexborNode) -> ListNumbers | None:
    attributes = node.attributes
    if re.search(r"list-style(-type)?\s*:\s*none", attributes.get("style") or "", re.IGNORECASE):
        return None
    is_reversed = "reversed" in attributes
    first = _integer(attributes.get("start"), _count_items(node) if is_reversed else 1)
    return ListNumbers(first, step=-1 if is_reversed else 1, style=attributes.get("type") or "1")


def _count_items(node: LexborNode) -> int:
    count = 0
    child = node.first_child
    while child is not None:
        count += child.tag == "li"
        child = child.next
    return count


def _integer(value: str | None, default: int) -> int:
    number = _INTEGER.match(value or "")
    return int(number[1]) if number else default


def is_replaced(node: LexborNode) -> bool:
    """Return whether `replaced_text` stands for an element and all it contains."""
    tag = node.tag
    if tag in _REPLACED:
        return True
    is_reference = tag == "a" and node.attributes.get("role") == "doc-noteref"
    return (tag == "sup" or is_reference) and _short_text(node) is not None


def replaced_text(node: LexborNode, *, before: str) -> str:
    """Return what a browser shows for an element that `is_replaced`: `before` is the text it follows."""
    attributes = node.attributes
    if node.tag == "img":
        return f" {attributes.get('alt') or ''} "
    if node.tag == "input":
        is_text = (attributes.get("type") or "").lower() in _TEXT_INPUTS
        return f" {attributes.get('value') or ''} " if is_text else ""
    if node.tag == "textarea":
        return f" {node.text()} "
    if node.tag == "select":
        return f" {_chosen_options(node)} "
    if node.tag == "math":
        return f" {linear_formula(node)} "
    if node.tag in {"rt", "rtc"}:
        return ""
    return _superscript(node, before)


def ruby_reading(ruby: LexborNode) -> str:
    """Return the reading of a `ruby` element in brackets; that of several in a row is returned for the last.

    So a word stays whole that has a reading for each of its characters.
    """
    following = ruby.next
    if following is not None and following.tag == "ruby":
        return ""
    readings: list[str] = []
    part: LexborNode | None = ruby
    while part is not None and part.tag == "ruby":
        readings[:0] = [reading.text().strip() for reading in part.css("rt")]
        part = part.prev
    reading = "".join(readings)
    return f"({reading})" if reading else ""


def _chosen_options(select: LexborNode) -> str:
    options = select.css("option")
    attributes = select.attributes
    if "multiple" not in attributes and _integer(attributes.get("size"), 1) <= 1:
        options = [option for option in options if "selected" in option.attributes][-1:] or options[:1]
    return " ".join(option.attributes.get("label") or option.text().strip() for option in options)


def _superscript(node: LexborNode, before: str) -> str:
    text = (_short_text(node) or "").strip()
    if _is_reference(node) and any(character.isalnum() for character in text):
        return text if text.startswith("[") else f"[{text.strip('()[]')}]"
    return superscript(text, before=before)


def _is_reference(node: LexborNode) -> bool:
    """Return whether a superscript leads to a note: it is, contains or stands in a link within the page."""
    parent = node.parent
    links = [*node.css("a"), *([parent] if parent is not None and parent.tag == "a" else [])]
    return any("#" in (link.attributes.get("href") or "") for link in links)


def _short_text(node: LexborNode) -> str | None:
    """Return the text of an element that is short and has no blocks; None for others."""
    pieces: list[str] = []
    length = 0
    waiting = [child] if (child := node.first_child) is not None else []
    for _ in range(_MAX_SUPERSCRIPT_NODES):
        if not waiting:
            return "".join(pieces)
        child = waiting.pop()
        if child.next is not None:
            waiting.append(child.next)
        if child.is_text_node:
            text = child.text_content or ""
            length += len(text)
            if length > _MAX_SUPERSCRIPT_LENGTH:
                return None
            parent = child.parent
            if parent is not None and parent.tag == "sup" and parent != node:
                text = superscript(text, before="".join(pieces))
            pieces.append(text)
        elif child.tag not in _WITHIN_SUPERSCRIPT:
            if child.is_element_node:
                return None
        elif child.first_child is not None:
            waiting.append(child.first_child)
    return None
