"""Text and source code, whose text is the file itself. Python code has its classes and functions as headings."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator

from echo_index.indexer.documents.decoding import decode
from echo_index.indexer.documents.document import Document, Heading, line_starts


def read_text(content: bytes) -> Document:
    """Plain text: no headings, no title. Raises DocumentError when it cannot be decoded."""
    return Document(text=decode(content), title="", format="text", has_lines=True)


def read_code(content: bytes) -> Document:
    """Source code in any language: no headings, no title. Raises DocumentError when it cannot be decoded."""
    return Document(text=decode(content), title="", format="code", has_lines=True)


def read_python(content: bytes) -> Document:
    """Python code, with a heading for each class and function. Raises DocumentError when it cannot be decoded.

    Code that does not parse has no headings.
    """
    text = decode(content)
    headings = sorted(_definitions(text), key=lambda heading: heading.offset)
    return Document(text=text, title="", format="code", headings=tuple(headings), has_lines=True)


def _definitions(text: str) -> Iterator[Heading]:
    tree = _parsed(text)
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


def _parsed(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other people's invalid escapes are none of our user's business
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
