"""Write a formula of MathML on one line: x^2, (a + b)/c, √(n)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.scripts import superscript

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

_MAX_DEPTH = 60  # of elements within each other; what is deeper is left out
_ATOM = re.compile(r"[\d.,]+|\w+|\W?")
_NOT_SEEN = {"annotation", "annotation-xml", "mphantom"}
_FIRST_CHILD_ONLY = {"semantics", "maction"}


def linear_formula(math: LexborNode) -> str:
    """Return the text of a `math` element. Superscripts have a `^`; subscripts stand behind their base."""
    return " ".join(_write(math, 0).split())


def _write(node: LexborNode, depth: int) -> str:
    tag = (node.tag or "").lower()
    if node.is_text_node:
        return node.text_content or ""
    if not node.is_element_node or tag in _NOT_SEEN or depth > _MAX_DEPTH:
        return ""
    parts = [_write(child, depth + 1) for child in _children(node)]
    if tag in _FIRST_CHILD_ONLY:
        return parts[0] if parts else ""
    write = _WRITERS.get(tag)
    if write is not None and len(parts) >= _MIN_PARTS.get(tag, 0):
        return write(parts)
    return "".join(parts)


def _children(node: LexborNode) -> list[LexborNode]:
    children = []
    child = node.first_child
    while child is not None:
        if child.is_element_node or (child.is_text_node and (child.text_content or "").strip()):
            children.append(child)
        child = child.next
    return children


def _grouped(text: str) -> str:
    return text if _ATOM.fullmatch(text.strip()) else f"({text.strip()})"


def _power(base: str, exponent: str) -> str:
    return base + superscript(exponent.strip(), before="")


# fmt: off
_WRITERS: dict[str, Callable[[list[str]], str]] = {
    "msup": lambda parts: _power(*parts[:2]),
    "msub": lambda parts: parts[0] + parts[1],
    "msubsup": lambda parts: _power(parts[0] + parts[1], parts[2]),
    "munder": lambda parts: f"{parts[0]}_{_grouped(parts[1])}",
    "munderover": lambda parts: f"{parts[0]}_{_grouped(parts[1])}^{_grouped(parts[2])} ",
    "mfrac": lambda parts: f"{_grouped(parts[0])}/{_grouped(parts[1])}",
    "msqrt": lambda parts: f"√{_grouped(''.join(parts))}",
    "mroot": lambda parts: f"{_grouped(parts[1])}√{_grouped(parts[0])}",
    "mfenced": lambda parts: f"({', '.join(parts)})",
    "mtable": lambda parts: f"[{'; '.join(parts)}]",
    "mtr": ", ".join,
    "mlabeledtr": ", ".join,
    "mspace": lambda parts: " ",
    "mtext": lambda parts: f" {''.join(parts)} ",
}
_MIN_PARTS = {"msup": 2, "msub": 2, "msubsup": 3, "munder": 2, "munderover": 3, "mfrac": 2, "mroot": 2}
# fmt: on
