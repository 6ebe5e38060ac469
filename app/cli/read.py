"""The command `read`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from echo_index.app.cli import output
from echo_index.app.cli.options import AsJson, IndexPlace, notice, out
from echo_index.app.defaults import DEFAULTS

if TYPE_CHECKING:
    from echo_index.app.services.document_parts import DocumentPart
    from echo_index.app.services.excerpts import Excerpt

_SURROUNDINGS = 2000  # characters of a line and what stands around it


def read(
    location: Annotated[
        str,
        typer.Argument(
            help="A document, or a part of it as search shows it: notes.md:7, notes.md:7-40, 'report.pdf, page 3', "
            "'deck.pptx, slide 3', 'notes.md#A heading'.",
            metavar="SOURCE[:LINE|#PART]",
        ),
    ],
    characters: Annotated[
        int | None,
        typer.Option(
            "--characters",
            min=1,
            help="Print at most so many. Default: 2000 around a line, else all of the document or the part.",
            metavar="N",
        ),
    ] = None,
    start: Annotated[
        int | None, typer.Option(min=0, help="Begin with this character of the document, from 0.", metavar="N")
    ] = None,
    index: IndexPlace = DEFAULTS.index_dir,
    json: AsJson = False,
) -> None:
    """Print a document as it was read, or a part of it with its surroundings."""
    from echo_index.app.services.document_selection import select_part
    from echo_index.app.services.excerpts import read_part
    from echo_index.app.services.formatting import heading_path
    from echo_index.app.services.tool_results import DocumentText
    from echo_index.indexer.inspection.document_queries import paths_with_archives, read_indexed_document
    from echo_index.indexer.stores.opening import open_index

    reader = open_index(index, index_device="cpu", notice=notice)
    with reader.reading():
        path, part = select_part(location, paths_with_archives(reader), index)
        document = read_indexed_document(reader, path)
    around = part.unit == "line" and part.last is None
    most = characters or (_SURROUNDINGS if around else max(1, len(document.text)))
    excerpt = read_part(document, part, start=start, characters=most)
    if json:
        output.print_json(out, DocumentText.of(document, excerpt).model_dump())
        return
    headings = () if around else excerpt.headings
    out.print(Text(output.one_line(heading_path(document.title, headings)), style="bold cyan"), soft_wrap=True)
    place = ", ".join(filter(None, [path, excerpt.place]))
    out.print(Text(output.one_line(place), style="green"), soft_wrap=True)
    out.print()
    out.print(_text(excerpt, part), soft_wrap=True)
    if excerpt.end < len(document.text) and (characters or around):
        notice(f"The document goes on: --start {excerpt.end}")


def _text(excerpt: Excerpt, part: DocumentPart) -> Text:
    """Return the text of an excerpt; the line that was named, with its surroundings, is bold."""
    shown = excerpt.text.rstrip()
    text = Text(output.strip_controls(shown if excerpt.line is not None else shown.lstrip("\n")))
    if part.unit == "line" and part.last is None and excerpt.line is not None:
        lines = text.plain.split("\n")
        named = part.first - excerpt.line
        if 0 <= named < len(lines):
            begin = sum(len(line) + 1 for line in lines[:named])
            text.stylize("bold", begin, begin + len(lines[named]))
    return text
