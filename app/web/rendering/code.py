"""Write code with colours for its language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import PurePath
from typing import TYPE_CHECKING

from echo_index.app.web.rendering.source_text import SourceText
from echo_index.app.web.rendering.writer import PassageWriter

if TYPE_CHECKING:
    from pygments.lexer import Lexer

LANGUAGES = {
    "bash": "bash sh shell zsh ksh console shell-session .sh .bash .zsh .ksh",
    "c": "c h .c .h",
    "cpp": "cpp c++ cc hpp .cpp .cc .cxx .hpp .hh .hxx",
    "css": "css .css",
    "diff": "diff patch udiff .diff .patch",
    "docker": "docker dockerfile",
    "go": "go golang .go",
    "html": "html .html .htm",
    "ini": "ini cfg conf properties .ini .cfg .conf .properties",
    "java": "java .java",
    "javascript": "javascript js jsx mjs .js .jsx .mjs .cjs",
    "json": "json jsonl ndjson .json .jsonl .ndjson",
    "kotlin": "kotlin kt .kt .kts",
    "lua": "lua .lua",
    "make": "make makefile .mk",
    "php": "php .php",
    "python": "python py python3 pyi pycon .py .pyi .pyx",
    "r": "r .r",
    "ruby": "ruby rb .rb",
    "rust": "rust rs .rs",
    "scala": "scala .scala",
    "sql": "sql postgresql mysql sqlite .sql",
    "swift": "swift .swift",
    "toml": "toml .toml",
    "typescript": "typescript ts tsx .ts .tsx .mts .cts",
    "xml": "xml svg xsd xslt .xml .xsd .xsl .xslt .csproj .plist",
    "yaml": "yaml yml .yaml .yml",
}
"""The languages that have colours, by the name of their lexer: the words after a fence, and the suffixes of files."""

_NAMES = {name: language for language, names in LANGUAGES.items() for name in names.split()}
_CLASSES = (
    ("Comment", "c"),
    ("Literal.String", "s"),
    ("Literal.Number", "m"),
    ("Literal", "s"),
    ("Keyword", "k"),
    ("Operator.Word", "k"),
    ("Name.Function", "f"),
    ("Name.Class", "f"),
    ("Name.Tag", "f"),
    ("Name.Decorator", "f"),
    ("Name.Builtin", "b"),
    ("Name.Attribute", "b"),
    ("Name.Constant", "b"),
    ("Generic.Deleted", "d"),
    ("Generic.Inserted", "s"),
    ("Generic.Heading", "f"),
    ("Generic.Subheading", "k"),
)
"""The class of the elements of a kind of token, also of those below it."""

# What some lexers read in more than linear time stays without colours: very long lines, and very many blank ones.
_MAX_LENGTH = 15_000  # characters that a lexer reads at a time
_SLOW = re.compile(r"[^\n]{1001}|\n(?:[ \t\r\f\v]*\n){30}")
_COMMENTS = (("/*", "*/"), ("<!--", "-->"), ("[[", "]]"))
_MAX_OPEN = 20  # comments of a part that never end: for each, lexers read on to the end
_SLOW_RULE = r"\s+)+?"  # it finds the names of methods in a time that grows with the cube of the length


def language_of_fence(info: str) -> str:
    """Return the language of fenced code, "" if it has no colours: `python title="a"`, `{.python}`, `{r, echo=F}`."""
    words = re.split(r"[\s,{}]+", info.strip().lstrip("{").lstrip("."), maxsplit=1)
    return _NAMES.get(words[0].lower(), "")


def language_of_file(path: str) -> str:
    """Return the language of a file by its name, "" if it has no colours."""
    name = PurePath(path).name.lower()
    return _NAMES.get(PurePath(path).suffix.lower(), _NAMES.get(name, "") if "." not in name else "")


def write_code(writer: PassageWriter, code: SourceText, language: str) -> None:
    """Write code, with an element for each token of a kind that has a colour."""
    for start, end, kind in _tokens(code.text, language):
        if not writer.shows(code.offset(start), code.offset(end - 1) + 1):
            continue
        if kind:
            writer.open("span", f'class="{kind}"')
        for piece, offset in code.pieces(start, end):
            writer.write(piece, offset)
        if kind:
            writer.close()


def _tokens(text: str, language: str) -> Iterator[tuple[int, int, str]]:
    """Yield start and end of each token in order, and the class of its element or ""."""
    if not text:
        return
    if not language or _SLOW.search(text):
        yield 0, len(text), ""
        return
    start = 0
    while start < len(text):
        end = start + _MAX_LENGTH
        if end < len(text):
            end = text.rfind("\n", start, end) + 1 or end
        for first, last, kind in _tokens_of_part(text[start:end], language):
            yield start + first, start + last, kind
        start = end


def _tokens_of_part(text: str, language: str) -> Iterator[tuple[int, int, str]]:
    if any(text.rpartition(closing)[2].count(opening) > _MAX_OPEN for opening, closing in _COMMENTS):
        yield 0, len(text), ""
        return
    begin, end, kind = 0, 0, ""
    for start, token, value in _lexer(language).get_tokens_unprocessed(text):
        if start < end or not value:  # a lexer of several languages may come back to a place
            continue
        if start > end or _class_of(token) != kind:
            if begin < end:
                yield begin, end, kind
            if end < start:
                yield end, start, ""
            begin, kind = start, _class_of(token)
        end = start + len(value)
    if begin < end:
        yield begin, end, kind
    if end < len(text):
        yield end, len(text), ""


@cache
def _lexer(language: str) -> Lexer:
    from pygments.lexers import get_lexer_by_name

    if language == "java":
        return _java_lexer()
    return get_lexer_by_name(language)


def _java_lexer() -> Lexer:
    from pygments.lexers.jvm import JavaLexer

    class FastJavaLexer(JavaLexer):  # type: ignore[misc]  # pygments has no types
        tokens = JavaLexer.tokens | {
            "root": [rule for rule in JavaLexer.tokens["root"] if _SLOW_RULE not in str(rule[0])]
        }

    return FastJavaLexer()


@cache
def _class_of(token: object) -> str:
    from pygments.token import string_to_tokentype

    return next((kind for name, kind in _CLASSES if token in string_to_tokentype(name)), "")
