"""A path becomes a Document: its text, its title, and where its headings, pages and lines begin.

Knows which reader a suffix calls for; knows nothing of what is inside a format, of chunks or of the index.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from echo_embeddings.errors import DocumentError
from indexer.files import MEGABYTE, read_file

Reader = Callable[[bytes], "Document"]

_SUFFIXES = {
    "text": ".txt .text .log .csv .tsv .org .adoc .asciidoc .tex .bib .srt .vtt",
    "markdown": ".md .markdown .mdown .mkd .mkdn .mdx .qmd .rmd",
    "rst": ".rst .rest",
    "html": ".html .htm .xhtml",
    "pdf": ".pdf",
    "docx": ".docx",
    "code": """
        .py .pyi .pyx .js .mjs .cjs .jsx .ts .mts .cts .tsx .vue .svelte .java .kt .kts .scala .groovy .gradle
        .clj .cljs .c .h .cc .cpp .cxx .hh .hpp .hxx .cu .cuh .m .mm .cs .fs .fsx .vb .go .rs .swift .zig .nim
        .d .dart .rb .php .pl .pm .r .jl .lua .hs .ml .mli .ex .exs .erl .hrl .el .lisp .scm .sh .bash .zsh
        .fish .ps1 .bat .cmd .sql .graphql .proto .css .scss .sass .less .json .jsonl .yaml .yml .toml .ini .cfg
        .conf .properties .xml .xsd .xsl .tf .cmake .mk .asm .s .f90 .pas .vhd .sv
    """,
}

FORMATS: dict[str, str] = {suffix: name for name, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}
"""The format that each known suffix (lower case, with its dot) stands for."""

_LONGEST_TITLE = 500  # characters; it stands with each passage of its section
_MOST_PLACES = 250_000


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading: its level (1 is outermost; 0 is a title set above all headings), and where it begins in the text.

    `offset` counts characters of `Document.text`. Where the text is the file's own, it is the start of the heading's
    line; elsewhere it is the first character of the title.
    """

    level: int
    title: str
    offset: int


@dataclass(frozen=True)
class Document:
    """What a reader found in one file. All offsets count characters of `text`, from 0.

    `headings` and `pages` stand in the order of their offsets; `pages` holds where each page begins and is empty for a
    format without pages. `has_lines` is true where `text` is the file's own, so that its line numbers mean something.
    `titled` is true where the title is the document's own, false where it is the name of its file.
    """

    text: str
    title: str
    format: str
    headings: tuple[Heading, ...] = ()
    pages: tuple[int, ...] = ()
    has_lines: bool = False
    titled: bool = True

    def heading_path(self, offset: int) -> tuple[str, ...]:
        """The titles of the headings in force at `offset`, outermost first."""
        path = []
        index = bisect_right(self._heading_offsets, offset) - 1
        while index >= 0:
            path.append(self.headings[index].title)
            index = self._parents[index]
        return tuple(reversed(path))

    def page(self, offset: int) -> int | None:
        """The page that `offset` lies on, counted from 1; None where the format has no pages."""
        return max(1, bisect_right(self.pages, offset)) if self.pages else None

    def line(self, offset: int) -> int | None:
        """The line that `offset` lies on, counted from 1; None where line numbers mean nothing."""
        return max(1, bisect_right(self._line_starts, offset)) if self.has_lines else None

    # Computed once on first use: without slots, a cached property may write beside the frozen fields.

    @cached_property
    def _line_starts(self) -> Sequence[int]:
        return line_starts(self.text)

    @cached_property
    def _heading_offsets(self) -> list[int]:
        return [heading.offset for heading in self.headings]

    @cached_property
    def _parents(self) -> list[int]:
        """For each heading, the index of the heading that encloses it; -1 for none."""
        parents: list[int] = []
        open_headings: list[int] = []
        for index, heading in enumerate(self.headings):
            while open_headings and self.headings[open_headings[-1]].level >= heading.level:
                open_headings.pop()
            parents.append(open_headings[-1] if open_headings else -1)
            open_headings.append(index)
        return parents


def line_starts(text: str) -> Sequence[int]:
    """The offset at which each line of `text` begins. Only a newline ends a line."""
    starts = array("I", [0])  # a list of millions would take ten times the memory
    starts.extend(end.end() for end in re.finditer("\n", text))
    return starts


def first_title(headings: tuple[Heading, ...]) -> str:
    """The title of the first heading of level 1, else that of the first heading, else nothing."""
    top_level = (heading.title for heading in headings if heading.level <= 1)
    return next(top_level, headings[0].title if headings else "")


def read_document(path: Path, *, max_bytes: int = 64 * MEGABYTE) -> Document:
    """Read the file at `path` with the reader that its suffix calls for; an unknown suffix is read as plain text.

    A document without a title of its own is called by its file name. Raises DocumentError, whose message leaves the
    path to the caller, when the file cannot be read, is larger than `max_bytes`, is broken, encrypted or binary, or
    holds no text.
    """
    try:
        content = read_file(path, max_bytes=max_bytes).content
    except FileNotFoundError as error:
        raise DocumentError("It cannot be read: no such file or directory.") from error
    return parse_document(content, path)


def parse_document(content: bytes, path: Path) -> Document:
    """Read what the file at `path` holds, with the reader that its suffix calls for. Opens no file.

    Titles are cut to 500 characters. Raises DocumentError when it is broken, encrypted or binary, holds no text, or
    has more than 250,000 headings or pages.
    """
    suffix = path.suffix.lower()
    format = FORMATS.get(suffix, "text")
    document = _reader(format, suffix)(content)
    if not document.text.strip():
        raise DocumentError("It is empty.")
    for places, name in ((document.headings, "headings"), (document.pages, "pages")):
        if len(places) > _MOST_PLACES:
            raise DocumentError(f"It has {len(places):,} {name}, where the limit is {_MOST_PLACES:,}.")
    name = path.name if format == "code" else path.stem
    return valid_document(replace(document, titled=bool(document.title), title=document.title or name))


def valid_document(document: Document) -> Document:
    """Return a document whose texts are valid Unicode, and whose titles are not too long."""
    return replace(
        document,
        text=_valid(document.text),
        title=_valid(document.title)[:_LONGEST_TITLE],
        headings=tuple(replace(heading, title=_valid(heading.title)[:_LONGEST_TITLE]) for heading in document.headings),
    )


def _valid(text: str) -> str:
    """`text` with what is no valid Unicode, such as a name in another encoding, replaced by question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _reader(format: str, suffix: str) -> Reader:
    # Each reader is imported where it is chosen: the readers name this module's records, and none is needed before.
    if format == "markdown":
        from indexer.readers.markdown import read_markdown as reader
    elif format == "rst":
        from indexer.readers.rst import read_rst as reader
    elif format == "html":
        from indexer.readers.html import read_html as reader
    elif format == "pdf":
        from indexer.readers.pdf import read_pdf as reader
    elif format == "docx":
        from indexer.readers.docx import read_docx as reader
    elif suffix in {".py", ".pyi"}:
        from indexer.readers.plain import read_python as reader
    elif format == "code":
        from indexer.readers.plain import read_code as reader
    else:
        from indexer.readers.plain import read_text as reader
    return reader
