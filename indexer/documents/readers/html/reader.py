"""Read HTML: what a person sees of the main content of a page. No scripts are run and nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from echo_index.indexer.documents.decoding import decode
from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.readers.html.elements import element_of, is_replaced, replaced_text, ruby_reading
from echo_index.indexer.documents.readers.html.meta import meta_fields
from echo_index.indexer.documents.readers.html.source import html_of_xhtml, is_xhtml, limit_depth
from echo_index.indexer.documents.readers.html.text_builder import TextBuilder
from echo_index.indexer.documents.readers.html.visibility import SECTIONS, is_dropped, is_seen

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_META_CHARSET = re.compile(rb"<meta[^>]*?charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_META_BYTES = 4096
_MAX_MAINS = 8  # elements that are tried as the main content
_MAX_FRAME_DEPTH = 3


def read_html(content: bytes) -> Document:
    """Return the main content of a page, its blocks separated by blank lines.

    The title is that of the page, else its first heading of level 1. A page that says that it is XHTML is read as such.

    Raises:
        DocumentError: the content cannot be decoded.
    """
    source = _decode(content)
    return _read(html_of_xhtml(source) if is_xhtml(source) else source)


def read_xhtml(content: bytes) -> Document:
    """Return the main content of an XHTML page like that of an HTML page. It need not be well-formed.

    Raises:
        DocumentError: the content cannot be decoded.
    """
    return _read(html_of_xhtml(_decode(content)))


def read_chapter(content: bytes) -> Document:
    """Return all of a page of a book in XHTML, without a title. Its headers, footers and asides are content.

    Raises:
        DocumentError: the content cannot be decoded.
    """
    body = _parse(html_of_xhtml(_decode(content))).body
    builder = TextBuilder()
    if body is not None:
        _add_text(builder, body, scripted=True, frame_depth=0, in_section=True)
    return _document(builder, title="")


def fragment_text(source: str) -> str:
    """Return the text of a piece of HTML on one line."""
    body = _parse(source).body
    return " ".join(_build_text(body, scripted=True).text().split()) if body is not None else ""


def _decode(content: bytes) -> str:
    meta = _META_CHARSET.search(content[:_META_BYTES])
    return decode(content, declared=meta[1].decode("ascii", "replace") if meta else "")


def _parse(source: str) -> LexborHTMLParser:
    from selectolax.lexbor import LexborHTMLParser

    return LexborHTMLParser(limit_depth(source))


def _read(source: str) -> Document:
    tree = _parse(source)
    # Some pages have their text only for browsers without scripts.
    main = _main_content(tree, scripted=True)
    if not main.length:
        main = _main_content(tree, scripted=False)
    title_node = tree.css_first("head > title")
    title = " ".join((title_node.text() if title_node else "").split())
    if not title:
        title = next((heading.title for heading in main.headings if heading.level == 1), "")
    return replace(_document(main, title=title), fields=meta_fields(tree))


def _document(content: TextBuilder, *, title: str) -> Document:
    return Document(
        text=content.text(),
        title=title,
        format="html",
        headings=tuple(content.headings),
        tables=tuple(content.tables),
    )


def _main_content(tree: LexborHTMLParser, *, scripted: bool) -> TextBuilder:
    """Return the text of the main element, else of the only article if it is most of the page, else of the body."""
    for selector in ("main", "[role=main]"):
        for node in tree.css(selector)[:_MAX_MAINS]:
            if is_seen(node) and (main := _build_text(node, scripted=scripted)).length:
                return main
    body = _build_text(tree.body, scripted=scripted) if tree.body is not None else TextBuilder()
    articles = tree.css("article")
    if len(articles) == 1 and is_seen(articles[0]):
        article = _build_text(articles[0], scripted=scripted)
        if article.length * 2 >= body.length:
            return article
    return body


def _build_text(root: LexborNode, *, scripted: bool, frame_depth: int = 0) -> TextBuilder:
    builder = TextBuilder()
    _add_text(builder, root, scripted=scripted, frame_depth=frame_depth)
    return builder


def _add_text(
    builder: TextBuilder, root: LexborNode, *, scripted: bool, frame_depth: int, in_section: bool = False
) -> None:
    for node, entering in _walk(root, scripted=scripted, in_section=in_section):
        if node.is_text_node:
            builder.write(node.text_content or "")
        elif node.tag == "iframe":
            if entering and frame_depth < _MAX_FRAME_DEPTH:
                _add_frame(builder, node, scripted=scripted, frame_depth=frame_depth + 1)
        elif is_replaced(node):
            if entering:
                builder.write(replaced_text(node, before=builder.last_text()))
        elif entering:
            builder.enter(element_of(node))
            builder.write("“" if node.tag == "q" else "")
        else:
            builder.write("”" if node.tag == "q" else "")
            if node.tag == "ruby":
                builder.write(ruby_reading(node))
            builder.leave(element_of(node).tag)


def _add_frame(builder: TextBuilder, frame: LexborNode, *, scripted: bool, frame_depth: int) -> None:
    """Add the text of a page that an `iframe` holds in its own attribute."""
    body = _parse(frame.attributes.get("srcdoc") or "").body
    if body is not None:
        _add_text(builder, body, scripted=scripted, frame_depth=frame_depth)


def _walk(root: LexborNode, *, scripted: bool, in_section: bool) -> Iterator[tuple[LexborNode, bool]]:
    """Yield the nodes that are not dropped, in document order: a text once, an element at its start (True) and end.

    The root is not dropped: a body that is hidden as a whole is shown by a script.
    """
    waiting = [(root, True)]
    sections = 1 if in_section or root.attributes.get("role") == "main" else 0
    while waiting:
        node, entering = waiting.pop()
        if not entering:
            sections -= node.tag in SECTIONS or node.tag == "header"
            yield node, False
        elif node.is_text_node:
            yield node, True
        elif node.is_element_node and (
            node is root or not is_dropped(node, in_section=sections > 0, scripted=scripted)
        ):
            sections += node.tag in SECTIONS or node.tag == "header"
            yield node, True
            waiting.append((node, False))
            child = None if is_replaced(node) or node.tag == "iframe" else node.last_child
            while child is not None:
                waiting.append((child, True))
                child = child.prev
