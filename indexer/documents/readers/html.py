"""Read HTML: the main content of a page as paragraphs of plain text. No scripts are run and nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from echo_index.indexer.documents.decoding import decode
from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.readers.text_builder import TextBuilder

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

# fmt: off
_DROPPED = {
    "script", "style", "noscript", "template", "nav", "svg", "iframe", "object", "embed", "audio", "video",
    "canvas", "map", "button", "input", "select", "textarea", "option", "datalist",
}
# fmt: on
# Dropped as parts of the page, but not within one of the sections below.
_PAGE_FURNITURE = {"header", "footer", "aside"}
_SECTIONS = {"main", "article", "section"}
_DROPPED_ROLES = {"navigation", "banner", "contentinfo", "search"}
_PERMALINK_SYMBOLS = {"¶", "#", "§", "🔗"}

# Browsers limit nesting to a similar depth. The parser takes quadratic time in the depth.
_MAX_DEPTH = 512
_TAG = re.compile(r"<(?P<closing>/?)(?P<name>[a-zA-Z][^\s/>]*)[^>]*>")
# fmt: off
_NEVER_NESTED = {
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr", "p",
    "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "option",
}
# fmt: on
_META_CHARSET = re.compile(rb"<meta[^>]*?charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_META_BYTES = 4096


def read_html(content: bytes) -> Document:
    """Return the main content of a page, its blocks separated by blank lines.

    The title is that of the page, else its first heading of level 1.

    Raises:
        DocumentError: the content cannot be decoded.
    """
    from selectolax.lexbor import LexborHTMLParser

    meta = _META_CHARSET.search(content[:_META_BYTES])
    source = decode(content, declared=meta[1].decode("ascii", "replace") if meta else "")
    tree = LexborHTMLParser(_limit_depth(source, _MAX_DEPTH))
    main = _main_content(tree)
    title_node = tree.css_first("head > title")
    title = " ".join((title_node.text() if title_node else "").split())
    if not title:
        title = next((heading.title for heading in main.headings if heading.level == 1), "")
    return Document(text=main.text(), title=title, format="html", headings=tuple(main.headings))


def _main_content(tree: LexborHTMLParser) -> TextBuilder:
    """Return the text of the main element, else of the only article if it is most of the page, else of the body."""
    for selector in ("main", "[role=main]"):
        node = tree.css_first(selector)
        if node is not None and (main := _build_text(node)).length:
            return main
    body = _build_text(tree.body) if tree.body is not None else TextBuilder()
    articles = tree.css("article")
    if len(articles) == 1 and (article := _build_text(articles[0])).length * 2 >= body.length:
        return article
    return body


def _build_text(root: LexborNode) -> TextBuilder:
    builder = TextBuilder()
    for node, entering in _walk(root):
        tag = node.tag or ""
        if tag == "-text":
            builder.write(node.text_content or "")
        elif entering:
            builder.enter(tag)
        else:
            builder.leave(tag)
    return builder


def _walk(root: LexborNode) -> Iterator[tuple[LexborNode, bool]]:
    """Yield the nodes that are not dropped, in document order: a text once, an element at its start (True) and end."""
    waiting = [(root, True)]
    sections = 1 if root.tag in _SECTIONS or root.attributes.get("role") == "main" else 0
    while waiting:
        node, entering = waiting.pop()
        if not entering:
            sections -= node.tag in _SECTIONS
            yield node, False
        elif node.is_text_node:
            yield node, True
        elif node.is_element_node and not _is_dropped(node, in_section=sections > 0):
            sections += node.tag in _SECTIONS
            yield node, True
            waiting.append((node, False))
            child = node.last_child
            while child is not None:
                waiting.append((child, True))
                child = child.prev


def _is_dropped(node: LexborNode, *, in_section: bool) -> bool:
    tag = node.tag
    if tag in _DROPPED or (tag in _PAGE_FURNITURE and not in_section):
        return True
    attributes = node.attributes
    return (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or attributes.get("role") in _DROPPED_ROLES
        or (tag == "a" and _is_permalink(node, attributes.get("class") or ""))
    )


def _is_permalink(link: LexborNode, classes: str) -> bool:
    child = link.first_child
    is_text_only = child is not None and child.is_text_node and child.next is None
    text = (child.text_content or "").strip() if is_text_only and child is not None else ""
    return "headerlink" in classes.split() or text in _PERMALINK_SYMBOLS


def _limit_depth(source: str, limit: int) -> str:
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
