"""Notebooks are read cell by cell: notes, code, and outputs that are text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from echo_index.errors import DocumentError
from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.formats import parse_document


def read(*cells: dict[str, Any]) -> Document:
    return parse_document(json.dumps({"cells": cells, "nbformat": 4}).encode(), Path("a.ipynb"))


def code(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "outputs": list(outputs)}


def note(source: str | list[str]) -> dict[str, Any]:
    return {"cell_type": "markdown", "source": source}


def shown(**data: str) -> dict[str, Any]:
    """Return an output of several forms; `__` in a name separates the parts of its type."""
    return {"output_type": "display_data", "data": {kind.replace("__", "/"): [text] for kind, text in data.items()}}


def test_notes_have_headings_and_cells_are_places() -> None:
    document = read(
        note(["## Lamps\n", "\n", "They burn oil. <!-- not seen -->\n"]),
        note(""),
        code("# no heading\nburn()"),
        note("# Costs"),
    )
    assert document.text == "## Lamps\n\nThey burn oil.\n\n# no heading\nburn()\n\n# Costs"
    assert [(each.level, each.title, document.text[each.offset]) for each in document.headings] == [
        (2, "Lamps", "#"),
        (1, "Costs", "#"),
    ]
    assert document.title == "Costs"
    assert [(place.name, document.text[place.offset :][:5]) for place in document.places] == [
        ("cell 1", "## La"),
        ("cell 3", "# no "),
        ("cell 4", "# Cos"),
    ]


def test_output_is_what_a_terminal_shows() -> None:
    stream = {"output_type": "stream", "text": ["\x1b[1;31mred\x1b[0m\n", " 10%\r 50%\r100%\r\n", "done"]}
    error = {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["\x1b[31mE\x1b[39m: bad lamp"]}
    assert read(code("burn()", stream, error)).text == "burn()\n\nred\n100%\ndone\n\nE: bad lamp"


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (shown(text__plain="   a\n0  1", text__html="<table><tr><td>1</table>"), "   a\n0  1"),
        (shown(text__plain="<pandas.Styler at 0x7f01>", text__html="<p>styled"), "styled"),
        (shown(text__plain="<IPython.core.display.HTML object>", text__html="<p>page"), "page"),
        (shown(text__plain="<Figure size 640x480 with 1 Axes>", image__png="iVBORw0KGgo"), ""),
        (shown(text__plain="x**2", image__png="iVBORw0KGgo"), "x**2"),
        (shown(text__markdown="**bold**", text__plain="<Markdown object>"), "**bold**"),
        ({"output_type": "pyout", "text": ["4"], "png": "iVBORw0KGgo"}, "4"),
    ],
)
def test_of_each_output_its_text_is_read(output: dict[str, Any], text: str) -> None:
    assert read(code("x", output)).text == f"x\n\n{text}".strip()


def test_format_3_is_read() -> None:
    cells = [{"cell_type": "heading", "level": 3, "source": ["Old"]}, {"cell_type": "code", "input": ["a = 1"]}]
    notebook = {"worksheets": [{"cells": cells}], "nbformat": 3}
    document = parse_document(json.dumps(notebook).encode(), Path("a.ipynb"))
    assert document.text == "Old\n\na = 1"
    assert [(each.level, each.title) for each in document.headings] == [(3, "Old")]


def test_long_outputs_are_cut_and_named() -> None:
    document = read(note("a"), code("loop()", {"output_type": "stream", "text": "a line\n" * 9000}), code("b"))
    assert 19_000 < len(document.text) < 21_000
    assert document.text.endswith("a line\n\nb")
    assert document.omissions == ("the rest of long outputs of cell 2",)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ('{"cells": [', "It is not a readable notebook: it is not valid JSON."),
        ("[" * 100_000, "It is not a readable notebook: it is not valid JSON."),
        ("[]", "It is not a notebook."),
        ('{"a": 1}', "It is not a notebook: it has no cells."),
        ('{"cells": [1, null, {"cell_type": [], "outputs": 3, "source": 4}]}', "It is empty."),
    ],
)
def test_what_is_no_notebook_is_an_error(source: str, reason: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_document(source.encode(), Path("a.ipynb"))
    assert caught.value.message == reason
