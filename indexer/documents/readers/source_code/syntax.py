"""Find the definitions in source code with tree-sitter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from echo_index.indexer.documents.readers.source_code.copied_process import run_in_copy
from echo_index.indexer.documents.readers.source_code.languages import Language

if TYPE_CHECKING:
    from tree_sitter import Node
    from tree_sitter_language_pack import SupportedLanguage

_MAX_SECONDS = 5  # of CPU time; a megabyte takes about one, but broken code may take quadratic time
_MAX_OPEN_MATCHES = 10_000
_MAX_TITLE = 100  # characters
_NO_KEYWORD = "definition"
_COMMENTS = ("comment", "line_comment", "block_comment", "haddock", "multiline_comment", "documentation_comment")

Place = tuple[int, int, int, int, str]


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition: its bytes `[start, end)`, its lines from `first` to `last`, and its title."""

    start: int
    end: int
    first: int
    last: int
    title: str


@dataclass(frozen=True, slots=True)
class Syntax:
    """The definitions in a source, the outer ones first, and the lines of comments and the like above definitions."""

    definitions: list[Definition]
    leading_lines: set[int]


def find_syntax(source: bytes, language: Language) -> Syntax | None:
    """Return the definitions that a language's query finds, None if that takes too much time or memory."""
    import tree_sitter_language_pack  # noqa: F401 - so that it is not imported in each copy

    found = run_in_copy(lambda: _find(source, language), cpu_seconds=_MAX_SECONDS)
    if found is None:
        return None
    places, leading_lines = found
    by_place = {(start, -end): Definition(start, end, *others) for start, end, *others in places}
    return Syntax([by_place[place] for place in sorted(by_place)], set(leading_lines))


def _find(source: bytes, language: Language) -> tuple[list[Place], list[int]]:
    from tree_sitter import Parser, Query, QueryCursor
    from tree_sitter_language_pack import get_language

    grammar = get_language(cast("SupportedLanguage", language.name))
    root = Parser(grammar).parse(source).root_node
    definitions = QueryCursor(Query(grammar, language.query), match_limit=_MAX_OPEN_MATCHES).matches(root)
    kinds = [kind for kind in (*_COMMENTS, *language.leading) if grammar.id_for_node_kind(kind, True) is not None]
    leads = QueryCursor(Query(grammar, "\n".join(f"({kind}) @lead" for kind in kinds))).captures(root)
    return (
        [_place(nodes, source) for _, nodes in definitions],
        [line for node in leads.get("lead", ()) for line in _own_lines(node, source)],
    )


def _place(nodes: dict[str, list[Node]], source: bytes) -> Place:
    titles = nodes.get("title", [])
    keyword = next(name for name in nodes if name != "title" and not name.startswith("_"))
    node = nodes[keyword][0]
    written = source[titles[0].start_byte : titles[-1].end_byte] if titles else b""
    words = [] if keyword == _NO_KEYWORD else [keyword]
    words += written[: 4 * _MAX_TITLE].decode("utf-8", "ignore").split()
    parts = [each for name, found in nodes.items() if name.startswith("_") for each in found]
    end = max([node, *parts], key=lambda part: part.end_byte)
    title = " ".join(words)[:_MAX_TITLE] if titles else ""
    return node.start_byte, end.end_byte, node.start_point.row, _last_line(end), title


def _own_lines(node: Node, source: bytes) -> Iterator[int]:
    """Yield the lines of a comment or the like, if nothing stands before it on its first line."""
    before = source[node.start_byte - node.start_point.column : node.start_byte].strip()
    if before in (b"", b"template"):
        yield from range(node.start_point.row, _last_line(node) + 1)


def _last_line(node: Node) -> int:
    return node.end_point.row - (node.end_point.column == 0 and node.end_point.row > node.start_point.row)
