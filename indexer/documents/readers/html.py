"""HTML: the main content as paragraphs of plain text. Executes nothing, fetches nothing, renders nothing."""

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
# These belong to the page, and are dropped, unless they stand within one of the sections below.
_PAGE_FURNITURE = {"header", "footer", "aside"}
_SECTIONS = {"main", "article", "section"}
_DROPPED_ROLES = {"navigation", "banner", "contentinfo", "search"}
_PERMALINK_SIGNS = {"¶", "#", "§", "🔗"}

# Browsers stop nesting near this depth too. The parser's time grows with the square of the depth.
_DEEPEST = 512
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
    """The main content of a page, its blocks set apart by blank lines; the title is that of the page, else of its h1.

    Raises DocumentError when the content cannot be decoded.
    """
    from selectolax.lexbor import LexborHTMLParser

    meta = _META_CHARSET.search(content[:_META_BYTES])
    source = decode(content, declared=meta[1].decode("ascii", "replace") if meta else "")
    tree = LexborHTMLParser(_no_deeper_than(_DEEPEST, source))
    flow = _main_content(tree)
    title_node = tree.css_first("head > title")
    title = " ".join((title_node.text() if title_node else "").split())
    if not title:
        title = next((heading.title for heading in flow.headings if heading.level == 1), "")
    return Document(text=flow.text(), title=title, format="html", headings=tuple(flow.headings))


def _main_content(tree: LexborHTMLParser) -> TextBuilder:
    """The page's declared main part if it holds text, its one article if that is most of the page, else its body."""
    for selector in ("main", "[role=main]"):
        node = tree.css_first(selector)
        if node is not None and (flow := _flow(node)).length:
            return flow
    whole = _flow(tree.body) if tree.body is not None else TextBuilder()
    articles = tree.css("article")
    if len(articles) == 1 and (flow := _flow(articles[0])).length * 2 >= whole.length:
        return flow
    return whole


def _flow(root: LexborNode) -> TextBuilder:
    flow = TextBuilder()
    for node, entering in _walk(root):
        tag = node.tag or ""
        if tag == "-text":
            flow.write(node.text_content or "")
        elif entering:
            flow.enter(tag)
        else:
            flow.leave(tag)
    return flow


def _walk(root: LexborNode) -> Iterator[tuple[LexborNode, bool]]:
    """Every node that is kept, in order: text once, an element when it is entered and when it is left."""
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
    only = link.first_child
    has_one_text = only is not None and only.is_text_node and only.next is None
    text = (only.text_content or "").strip() if has_one_text and only is not None else ""
    return "headerlink" in classes.split() or text in _PERMALINK_SIGNS


def _no_deeper_than(limit: int, source: str) -> str:
    """`source` without the tags that nest deeper than `limit`: their text joins the element they stand in.

    Every page but a hostile or broken one is returned as it is.
    """
    depth = deepest = 0

    def keep(tag: re.Match[str]) -> str:
        nonlocal depth, deepest
        if tag["name"].lower() in _NEVER_NESTED or tag[0].endswith("/>"):
            return tag[0]
        depth = max(0, depth - 1) if tag["closing"] else depth + 1
        deepest = max(deepest, depth)
        kept = depth < limit if tag["closing"] else depth <= limit
        return tag[0] if kept else " "

    shallow = _TAG.sub(keep, source)
    return shallow if deepest > limit else source
