"""Read plain text and source code as they are. Classes and functions of Python code are its headings."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator

from echo_index.indexer.documents.decoding import decode
from echo_index.indexer.documents.document import Document, Heading, line_starts

_XML_ENCODING = re.compile(rb"\s{0,9}<\?xml\s[^<>]{0,200}?\bencoding\s{0,9}=\s{0,9}[\"']([\w.:-]{1,40})")
# As Python, Ruby and Perl have it: in a comment on one of the first two lines.
_CODE_ENCODING = re.compile(
    rb"(?:[^\r\n]{0,200}(?:\r\n?|\n))?[ \t\f]{0,9}#[^\r\n]{0,200}?coding[:=][ \t]{0,9}([\w.-]{1,40})"
)


def read_text(content: bytes) -> Document:
    """Return plain text, without headings and title.

    Raises:
        DocumentError: the content cannot be decoded.
    """
    return Document(text=_decode(content), title="", format="text", has_lines=True)


def read_code(content: bytes) -> Document:
    """Return source code of any language, without headings and title.

    Raises:
        DocumentError: the content cannot be decoded.
    """
    return Document(text=_decode(content), title="", format="code", has_lines=True)


def read_python(content: bytes) -> Document:
    """Return Python code, with a heading for each class and function if it can be parsed.

    Raises:
        DocumentError: the content cannot be decoded.
    """
    text = _decode(content)
    headings = sorted(_definitions(text), key=lambda heading: heading.offset)
    return Document(text=text, title="", format="code", headings=tuple(headings), has_lines=True)


def _decode(content: bytes) -> str:
    declared = _XML_ENCODING.match(content) or _CODE_ENCODING.match(content)
    return decode(content, declared=declared[1].decode("ascii") if declared else "")


def _definitions(text: str) -> Iterator[Heading]:
    tree = _parse(text)
    starts = line_starts(text)
    waiting: list[tuple[ast.AST, int]] = [(tree, 0)] if tree else []
    while waiting:
        node, level = waiting.pop()
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            level += 1
            first_line = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            keyword = "class" if isinstance(node, ast.ClassDef) else "def"
            yield Heading(level=level, title=f"{keyword} {node.name}", offset=starts[first_line - 1])
        waiting.extend((child, level) for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr))


def _parse(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as those about invalid escapes, which the user need not see
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
