"""Read Jupyter notebooks: notes with their headings, code, and the output of code as far as it is text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from echo_index.errors import DocumentError
from echo_index.indexer.documents.decoding import decode
from echo_index.indexer.documents.document import Document, first_title
from echo_index.indexer.documents.readers.html.reader import read_html
from echo_index.indexer.documents.readers.invisible import without_invisible
from echo_index.indexer.documents.readers.markdown.reader import read_markdown
from echo_index.indexer.documents.readers.parts import BETWEEN_PARTS, Parts

_MAX_OUTPUT = 20_000  # characters of each output
_MAX_NUMBERS = 20  # of cells in one phrase

# The escape sequences of terminals: colours, titles of windows, and single letters.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
# What stands for a picture, and for a page of HTML: "<Figure size 640x480 with 1 Axes>", "<pandas.Styler at 0x7f01>".
_NAME_OF_PICTURE = re.compile(r"\s*<[^<>\n]*>\s*")
_NAME_OF_OBJECT = re.compile(r"\s*<[^<>\n]*(?:\bobject| at 0x[\da-fA-F]+)>\s*")
_WIDGET = "application/vnd.jupyter.widget-view+json"

# What Markdown can be other than plain paragraphs, which need no parser.
_MARKUP = re.compile(r"[#<&|:%]|^[ \t]*[-=+]", re.MULTILINE)
_KEYS_OF_VERSION_3 = {"text/plain": "text", "text/html": "html", "text/latex": "latex", "text/markdown": "markdown"}


def read_notebook(content: bytes) -> Document:
    """Return the cells of a notebook, of format 3 or 4; each is a place, "cell 5", counted from 1.

    The title is the first heading of level 1, else the first heading. Nothing is run.

    Raises:
        DocumentError: the content is not a notebook.
    """
    parts = Parts()
    shortened = []
    for number, cell in enumerate(_cells(decode(content)), start=1):
        before = parts.length
        if _add_cell(parts, cell):
            shortened.append(number)
        if parts.length > before:
            parts.add_place(before + len(BETWEEN_PARTS) if before else 0, f"cell {number}")
    headings = tuple(parts.headings)
    return Document(
        text=parts.text(),
        title=first_title(headings),
        format="notebook",
        headings=headings,
        tables=tuple(parts.tables),
        places=tuple(parts.places),
        omissions=_omissions(shortened),
    )


def _cells(source: str) -> list[dict[str, Any]]:
    try:
        notebook = json.loads(source)
    except (ValueError, RecursionError) as error:
        raise DocumentError("It is not a readable notebook: it is not valid JSON.") from error
    if not isinstance(notebook, dict):
        raise DocumentError("It is not a notebook.")
    sheets = notebook.get("worksheets")
    if "cells" not in notebook and isinstance(sheets, list):  # format 3
        lists = [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)]
    else:
        lists = [notebook.get("cells")]
    if not any(isinstance(cells, list) for cells in lists):
        raise DocumentError("It is not a notebook: it has no cells.")
    return [cell if isinstance(cell, dict) else {} for cells in lists if isinstance(cells, list) for cell in cells]


def _add_cell(parts: Parts, cell: dict[str, Any]) -> bool:
    """Add a cell, and return whether an output of it was shortened."""
    kind = cell.get("cell_type")
    source = _joined(cell.get("source", cell.get("input")))
    if kind == "heading":
        level = cell.get("level")
        parts.add_heading(level if isinstance(level, int) and 1 <= level <= 6 else 1, " ".join(source.split()))
    elif kind == "markdown":
        _add_markdown(parts, source)
    else:
        parts.add(_CONTROL.sub("", source).strip("\n").rstrip())
    is_shortened = False
    for output in _dicts(cell.get("outputs")):
        text = _output_text(output).strip("\n").rstrip()
        is_shortened |= len(text) > _MAX_OUTPUT
        parts.add(text if len(text) <= _MAX_OUTPUT else text[:_MAX_OUTPUT].rpartition("\n")[0] or text[:_MAX_OUTPUT])
    return is_shortened


def _add_markdown(parts: Parts, source: str) -> None:
    source = source.strip("\n").rstrip()
    if not _MARKUP.search(source):
        parts.add(without_invisible(source))
        return
    try:
        document = read_markdown(source.encode("utf-8", "replace"))
    except DocumentError:  # characters that no text has
        parts.add(_CONTROL.sub("", source).strip())
        return
    if document.text.strip():
        parts.add_document(document)


def _output_text(output: dict[str, Any]) -> str:
    """Return what a person reads of an output; empty for pictures and controls."""
    kind = output.get("output_type")
    if kind == "stream":
        return _terminal_text(_joined(output.get("text")))
    if kind in {"error", "pyerr"}:
        trace = _terminal_text(_joined(output.get("traceback"), separator="\n"))
        return trace.strip() or f"{_joined(output.get('ename'))}: {_joined(output.get('evalue'))}"
    data = output.get("data")
    if not isinstance(data, dict):
        data = {kind: output[key] for kind, key in _KEYS_OF_VERSION_3.items() if key in output}
        data |= {"image/png": ""} if {"png", "jpeg", "svg"} & output.keys() else {}
    return _data_text(data)


def _data_text(data: dict[str, Any]) -> str:
    """Return the text of an output that is held in several forms, by their types."""
    plain = _terminal_text(_joined(data.get("text/plain")))
    if markdown := _joined(data.get("text/markdown")):
        return without_invisible(markdown)
    is_picture = any(kind.startswith("image/") for kind in data)
    if _WIDGET in data or (is_picture and _NAME_OF_PICTURE.fullmatch(plain)):
        return ""
    if "text/html" in data and (not plain.strip() or _NAME_OF_OBJECT.fullmatch(plain)):
        try:
            return read_html(_joined(data["text/html"]).encode("utf-8", "replace")).text
        except DocumentError:
            return ""
    return plain or _joined(data.get("text/latex"))


def _terminal_text(text: str) -> str:
    """Return the text that a terminal shows: without colours and without what is written over."""
    lines = _ESCAPES.sub("", text).split("\n")
    return _CONTROL.sub("", "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines))


def _joined(lines: object, *, separator: str = "") -> str:
    """Return a text that a notebook holds as one string or as a list of lines."""
    if isinstance(lines, list):
        return separator.join(line for line in lines if isinstance(line, str))
    return lines if isinstance(lines, str) else ""


def _dicts(values: object) -> Iterator[dict[str, Any]]:
    if isinstance(values, list):
        yield from (value for value in values if isinstance(value, dict))


def _omissions(cells: list[int]) -> tuple[str, ...]:
    if not cells:
        return ()
    numbers = ", ".join(map(str, cells[:_MAX_NUMBERS])) + (", …" if len(cells) > _MAX_NUMBERS else "")
    return (f"the rest of long outputs of {'cell' if len(cells) == 1 else 'cells'} {numbers}",)
