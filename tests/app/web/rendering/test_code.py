"""Code with colours: the languages, the text that stays as it is, and hostile code."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from repository import ROOT, SOAK
from seen_html import Seen

from echo_index.app.web.rendering.code import LANGUAGES, language_of_fence, language_of_file, write_code
from echo_index.app.web.rendering.source_text import SourceText
from echo_index.app.web.rendering.writer import EVERYTHING, PassageWriter, Span


def coloured(text: str, language: str, mark: Span | None = None, *, span: Span = EVERYTHING) -> str:
    writer = PassageWriter(span=span, mark=mark)
    write_code(writer, SourceText(text, ((0, 0),)), language)
    return writer.html()


@pytest.mark.parametrize(
    ("info", "language"),
    [
        ("python", "python"),
        ("Python title='x'", "python"),
        ("{.python}", "python"),
        ("{r, echo=FALSE}", "r"),
        ("c++", "cpp"),
        ("console", "bash"),
        ("js{1,3}", "javascript"),
        ("", ""),
        ("mermaid", ""),
        ("<script>", ""),
    ],
)
def test_the_language_of_fenced_code(info: str, language: str) -> None:
    assert language_of_fence(info) == language


def test_the_language_of_a_file() -> None:
    assert [
        language_of_file(path) for path in ("a/b.py", "B.PY", "x.tsx", "Makefile", "a.unknown", "python", "x.zip!/a.rs")
    ] == [
        *("python", "python", "typescript", "make", "", "python", "rust"),
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_a_lexer_that_keeps_the_text(language: str) -> None:
    text = "def add(a, b): // one /* two */ <b class='x'> # three\n\treturn \"four\" + 5; -- six\r\n\n  let x = `y`;\n"
    assert Seen(coloured(text, language)).text == Seen(coloured(text, "")).text


@given(st.sampled_from(sorted(LANGUAGES)), st.text("ab1\"'`<>&/*#-{}()=:;\\ \n\t$@!é", max_size=60), st.data())
@settings(max_examples=300, deadline=None)
def test_a_mark_changes_nothing_else(language: str, text: str, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(text)))
    last = data.draw(st.integers(first, len(text)))
    html = coloured(text, language, (first, last))
    assert re.sub("</?mark>", "", html) == coloured(text, language)
    assert Seen(html).text == text
    assert Seen("".join(re.findall("<mark>(.*?)</mark>", html, re.DOTALL))).text == text[first:last]
    assert {*Seen(html).tags} <= {"span", "mark"}


@given(st.text('ab("# \n', max_size=40), st.data())
def test_a_part_of_code(text: str, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(text)))
    last = data.draw(st.integers(first, len(text)))
    assert Seen(coloured(text, "python", span=(first, last))).text == text[first:last]


@pytest.mark.parametrize("language", LANGUAGES)
def test_long_hostile_code(language: str) -> None:
    for unit in (
        '"',
        "'",
        "(",
        "/*",
        "<a ",
        "\\",
        "a ",
        "{",
        "`",
        "<!--",
        "${",
        "#",
        "a=",
        "0",
        "\n ",
        "<<A\n",
        "(?",
        "a.",
    ):
        # Lexers read some of it in a time that grows with the square of the length.
        lines = f"{unit}\n" * (5_000 if SOAK else 1_500)
        for text in ((unit * 5_000)[:5_000], (unit * 900)[:900], f"{(unit * 900)[:900]}\n" * 6, lines):
            assert Seen(coloured(text, language)).text == text


def test_every_kind_has_a_colour() -> None:
    style = (ROOT / "app/web/assets/page.css").read_text(encoding="utf-8")
    html = coloured("@d\nclass A:\n    def f(self): return 'x', 1, len(x), True  # c\n", "python")
    html += coloured("- a\n+ b\n", "diff")
    kinds = {*re.findall(r'class="(\w)"', html)}
    assert kinds >= set("kfsmbcd")
    assert [kind for kind in kinds if f".code .{kind} {{" not in style] == []
