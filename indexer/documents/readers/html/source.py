"""Prepare the source of a page for the HTML parser: XHTML is written as HTML, and hostile nesting is cut."""

from __future__ import annotations

import re
from html import escape

# Browsers limit nesting to a similar depth. The parser takes quadratic time in the depth.
MAX_DEPTH = 512

# What is not closed goes on to the end, so that no part of a source is searched twice.
_TAG = re.compile(r"<(?P<closing>/?)(?P<name>[a-zA-Z][^\s/>]*)[^>]*>?")
_MARKUP = re.compile(
    r"<!--(?:.*?-->|.*)"
    r"|<!\[CDATA\[(?P<cdata>.*?)(?:\]\]>|\Z)"
    r"|<\?(?:.*?\?>|.*)"
    r"|<!DOCTYPE[^\[>]*(?:\[[^\]]*\]?[^>]*)?>?"
    r"|<(?P<closing>/?)(?P<name>[a-zA-Z_][^\s/><]*)"
    r"(?P<attributes>(?:[^>\"'/]+|\"[^\"]*(?:\"|\Z)|'[^']*(?:'|\Z)|/(?!>))*)(?P<end>/?>)?",
    re.DOTALL | re.IGNORECASE,
)
_DECLARED_XHTML = re.compile(r"\s*<\?xml\s|\s*<!DOCTYPE[^>]*XHTML", re.IGNORECASE)
_XHTML_ELEMENT = re.compile(r"<html[^>]*xmlns\s*=\s*[\"']http://www\.w3\.org/1999/xhtml", re.IGNORECASE)
_PREFIX = re.compile(
    r"xmlns:(\w+)\s*=\s*[\"']http://www\.w3\.org/(?:1999/xhtml|2000/svg|1998/Math/MathML)/?[\"']", re.IGNORECASE
)
_HEAD_LENGTH = 8192
# fmt: off
_VOID = {
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
}
_NEVER_NESTED = _VOID | {"p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "option"}
# fmt: on


def is_xhtml(source: str) -> bool:
    """Return whether a page says that it is XHTML: by an XML declaration, its document type or its namespace."""
    head = source[:_HEAD_LENGTH]
    return bool(_DECLARED_XHTML.match(head) or _XHTML_ELEMENT.search(head))


def html_of_xhtml(source: str) -> str:
    """Return XHTML, well-formed or not, as HTML that means the same.

    An HTML parser takes `<title/>` for the start of a title that never ends. Elements that are closed by themselves get
    an end tag, CDATA sections become text, and prefixes of names are removed. Entities that the document declares are
    not expanded.
    """
    prefixes = {f"{prefix.lower()}:" for prefix in _PREFIX.findall(source)}

    def rewrite(markup: re.Match[str]) -> str:
        if markup["cdata"] is not None:
            return escape(markup["cdata"], quote=False)
        if markup["name"] is None:
            return "" if markup[0][1] in "!?" else markup[0]
        name = _without_prefix(markup["name"], prefixes)
        tag = f"<{markup['closing']}{name}{markup['attributes']}"
        if markup["end"] != "/>" or markup["closing"] or name.lower() in _VOID:
            return f"{tag}>"
        return f"{tag}></{name}>"

    return "<!DOCTYPE html>" + _MARKUP.sub(rewrite, source)


def _without_prefix(name: str, prefixes: set[str]) -> str:
    prefix, colon, local = name.partition(":")
    return local if local and f"{prefix.lower()}{colon}" in prefixes else name


def limit_depth(source: str, limit: int = MAX_DEPTH) -> str:
    """Remove the tags that are nested deeper than `limit`, but not their text.

    Only hostile or broken pages are changed.
    """
    depth = max_depth = 0

    def filter_tag(tag: re.Match[str]) -> str:
        nonlocal depth, max_depth
        if tag["name"].lower() in _NEVER_NESTED or tag[0].endswith("/>"):
            return tag[0]
        depth = max(0, depth - 1) if tag["closing"] else depth + 1
        max_depth = max(max_depth, depth)
        is_allowed = depth < limit if tag["closing"] else depth <= limit
        return tag[0] if is_allowed else " "

    shallow = _TAG.sub(filter_tag, source)
    return shallow if max_depth > limit else source
