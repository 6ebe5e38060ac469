"""Markdown: what is not seen when it is rendered is not in the text, and lines keep their numbers."""

from __future__ import annotations

import base64
import time
from pathlib import Path

import pytest

from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.formats import read_document
from echo_index.indexer.documents.readers.markdown.reader import read_markdown, read_mdx

BASE64 = base64.b64encode(bytes(range(256)) * 8).decode()
WRAPPED = "\n".join(BASE64[at : at + 76] for at in range(0, len(BASE64), 76))
LINES = "\n" * (WRAPPED.count("\n") + 1)
PNG = f"data:image/png;base64,{BASE64}"


def read(source: str) -> Document:
    return read_markdown(source.encode())


def outline(source: str) -> list[tuple[int, str]]:
    return [(heading.level, heading.title) for heading in read(source).headings]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (f"a ![photo]({PNG}) b", "a ![photo]() b"),
        (f"a [file](data:application/pdf;base64,{BASE64} 'A title')", "a [file]( 'A title')"),
        (f"![][i]\n\n[i]: <{PNG}>\nend", "![][i]\n\n[i]: <>\nend"),
        (f"[i]: {PNG}\n\nend", "[i]: \n\nend"),
        (f'<img alt="x" src="{PNG}">', '<img alt="x" src="">'),
        (f"<p>\n<img src='data:image/png;base64,\n{WRAPPED}'>\n</p>", f"<p>\n<img src=''{LINES}>\n</p>"),
        ("in <img src=\"data:image/svg+xml;utf8,<svg a='b c'>\"> line", 'in <img src=""> line'),
        (f"- item\n\n      ![indented]({PNG})", "- item\n\n      ![indented]()"),
        (f"<div style=\"background: url('{PNG}')\">", "<div style=\"background: url('')\">"),
        (f"![a](data:image/png;base64,\n{WRAPPED})\nb", f"![a]({LINES})\nb"),
        ("data: none, metadata:a/b,c and data:image/png stay", None),
        ("a <!-- secret --> b", "a  b"),
        ("a <!-- secret\nnext --> b", "a \n b"),
        ("a\n\n<!-- secret\n\n# no\n\n-->\n\nb", "a\n\n\n\n\n\n\n\nb"),
        ("<div>\n<!-- secret\n\nmore -->\nb\n</div>", "<div>\n\n\n\nb\n</div>"),
        ("a <!-- no end\n\nb", None),
        ("b\n\n<!-- no end\n\nsecret", "b\n\n\n\n"),
        ("> a <!-- secret -->\n>\n> b", "> a \n>\n> b"),
        (
            "`<!-- seen -->` and ``a ` <!-- b -->`` and \\`<!-- no -->\\`",
            "`<!-- seen -->` and ``a ` <!-- b -->`` and \\`\\`",
        ),
        (f"```\n<!-- seen --> {PNG} &shy;\n```", None),
        ("    <!-- seen --> &shy;", None),
        ("<style>\np {}\n</style>\n\na", "\n\n\n\na"),
        ("<script>\nrun()\n\nmore()\n</script>\n\na", "\n\n\n\n\n\na"),
        ("<?php\nrun()\n?>\n\na", "\n\n\n\na"),
        ("F&ouml;r&shy;der&nbsp;R&amp;D &#x41; &#10; &unknown; AT&T", "Förder R&D A   &unknown; AT&T"),
        ("<p>\n&lt;h1&gt;x&lt;/h1&gt; &auml;\n</p>", "<p>\n&lt;h1&gt;x&lt;/h1&gt; ä\n</p>"),
        ("För\u00adder\u200bn", "Fördern"),
        ("a %%secret%% b", "a  b"),
        ("%%\nsecret\n\nmore\n%%\nb", "\n\n\n\n\nb"),
        ("100%% of 5%% and %d%% x", None),
        ("%% no end", None),
        ("import x from 'y'\n\n{/* seen */}", None),
        ("---\ntitle: x\nkey: <!-- seen -->\n---\na<!-- -->b", "---\ntitle: x\nkey: <!-- seen -->\n---\nab"),
    ],
)
def test_what_is_seen(source: str, text: str | None) -> None:
    document = read(source)
    assert document.text == (source if text is None else text)
    assert document.text.count("\n") == source.count("\n")


def test_lines_and_headings_after_what_is_not_seen() -> None:
    document = read(f"<!-- a\nb -->\n\n![x]({PNG})\n\n# One <!-- note -->\n\ntext &shy; more\n\n## Two\n\nend\n")
    assert [(heading.title, document.line(heading.offset)) for heading in document.headings] == [
        ("One", 6),
        ("Two", 10),
    ]
    assert document.line(document.text.index("end")) == 12


def test_mdx(tmp_path: Path) -> None:
    source = (
        "import Chart from '../chart'\nimport {\n  A\n} from 'a'\n\nexport const year = 2020\n\n# Title {/* #id */}\n\n"
        "a {/* secret\n\nmore */} b\n\n<Chart year={year} />\n\nimport duties rose; export too.\n"
    )
    (tmp_path / "a.mdx").write_text(source)
    document = read_document(tmp_path / "a.mdx")
    assert document.text.split() == [
        "#", "Title", "a", "b", "<Chart", "year={year}", "/>", "import", "duties", "rose;", "export", "too.",
    ]  # fmt: skip
    assert document.title == "Title"
    assert document.text.count("\n") == source.count("\n")


@pytest.mark.parametrize(
    ("source", "headings"),
    [
        ("<h1 align=center>Kelpie</h1>\n\n## Setup", [(1, "Kelpie"), (2, "Setup")]),
        ("<div align='center'>\n  <h1>\n    <b>Kel</b>pie &amp; co\n  </h1>\n</div>", [(1, "Kelpie & co")]),
        ("<h1 align=center>\n\n**Kelpie** and\n\n</h1>", [(1, "Kelpie and")]),
        ("<H2><img src=a.png alt='Kelpie'></H2>", [(2, "Kelpie")]),
        ("# A\n<h2>B</h2>\n\n# C", [(1, "A"), (2, "B"), (1, "C")]),
        ("<!-- <h1>no</h1> -->\n\n# A", [(1, "A")]),
        ("```\n<h1>no</h1>\n```\n`<h1>no</h1>`\n\n    <h1>no</h1>", []),
        ("<h1>no end\n\n# A", [(1, "A")]),
        ("# A {#id}\n## B {.c key=v}\n## C ## {: #d}\n## D {-}\n## Sets {1, 2}\n## {x}", [
            (1, "A"), (2, "B"), (2, "C"), (2, "D"), (2, "Sets {1, 2}"), (2, "{x}"),
        ]),
        ("# C#\n## F# {#f}", [(1, "C#"), (2, "F#")]),
        ("# A[^1]\n\n[^1]: b", [(1, "A")]),
        ("# För&shy;der\u00adn", [(1, "Fördern")]),
    ],
)  # fmt: skip
def test_headings(source: str, headings: list[tuple[int, str]]) -> None:
    assert outline(source) == headings


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ('+++\ntitle = "Kelp \\"tea\\""\n[more]\ntitle = "no"\n+++\n# H\n', 'Kelp "tea"'),
        ("+++\ntitle = 2024-01-10\n+++\n# H\n", "2024-01-10"),
        ("+++\ntitle = [\n+++\n# H\n", "H"),
        ('{\n  "title": "Kelp tea",\n  "tags": ["a"]\n}\n\n# H\n', "Kelp tea"),
        ('{ "tags": {} }\n# H\n', "H"),
        ('{"title": "no"} and more\n\n# H\n', "H"),
        ("{" * 5000 + "\n\n# H\n", "H"),
        ('{"a":' * 5000 + "\n\n# H\n", "H"),
        (';;;\n{"title": "Kelp tea"}\n;;;\n# H\n', "Kelp tea"),
        ("% Kelp tea\n  and more\n% Ada\n\n# H\n", "Kelp tea and more"),
        ("# H\n\n+++\ntitle = 'no'\n+++\n", "H"),
        ("<h1>Kelp</h1>\n", "Kelp"),
    ],
)
def test_titles(source: str, title: str) -> None:
    document = read(source)
    assert document.title == title
    assert document.text == source


def test_tables() -> None:
    source = (
        "# T\n\nTable 1: Ships.\n\n| Name | Crew |\n|---|---|\n| Kelpie | 7 |\n| Selkie | 9 |\n\nText.\n\n"
        "> a | b\n> --|--\n> 1 | 2\n\n| c |\n|---|\n| 3 |\n\n: Later\n\n| | |\n|-|-|\n| 4 | 5 |\n\n| only |\n|---|\n"
    )
    document = read(source)
    assert document.text == source
    assert [(table.header, document.text[table.start : table.end]) for table in document.tables] == [
        ("Table 1: Ships.\n| Name | Crew |", "| Kelpie | 7 |\n| Selkie | 9 |"),
        ("a | b", "> 1 | 2"),
        (": Later\n| c |", "| 3 |"),
    ]


def test_tables_after_front_matter_and_comments() -> None:
    document = read("---\ntitle: x\n---\n<!-- a\nb -->\n\n|a|b|\n|-|-|\n|1 <!-- no -->|2|")
    (table,) = document.tables
    assert document.text[table.start : table.end] == "|1 |2|"
    assert document.line(table.start) == 9


def test_hostile_sources_are_fast() -> None:
    begun = time.process_time()
    for source in (
        "<!-- " * 100_000,
        "a <!-- b\n\n" * 20_000,
        "<div>\n<!-- a\n\n" * 10_000,
        "".join("`" * length + " " for length in range(600)) + "<!-- ",
        "` `` " * 50_000,
        "%% a " * 50_000,
        "data:a/b," * 50_000,
        '"data:a/b,\n' * 30_000,
        "data:" + ";a=b" * 50_000,
        "data:a/b," + "\n" + "A" * 500_000,
        "&amp" * 100_000,
        "<h1>" * 50_000 + "</h1>",
        "<h1>a</h1>\n" * 5_000,
        "# " + "{#a " * 50_000,
        "# a " + "{a=b " * 400,
        "%% \n" * 20_000,
        "% a\n" + " b\n" * 50_000,
        "+++\n" + "a\n" * 50_000,
        "---\n" + " \n" * 50_000,
        "<div>\n<script>\n\n" * 5_000,
        "{" + '"a":[' * 10_000,
    ):
        read(source)
        read_mdx(source.replace("<!--", "{/*").encode())
    assert time.process_time() - begun < 60
