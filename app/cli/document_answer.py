"""The work of `ask --document`: read a whole document part by part, show progress, print the summary or the answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from echo_index.app.cli import output
from echo_index.app.cli.progress import WorkProgress
from echo_index.app.services.document_selection import select_document
from echo_index.app.services.formatting import pluralize
from echo_index.app.services.json_fields import answer_fields
from echo_index.errors import QuestionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.language_models import BaseChatModel

    from echo_index.indexer.inspection.document_queries import IndexedDocument
    from echo_index.indexer.stores.index_reader import IndexReader
    from echo_index.retriever.rag.sentence_meaning import Embed


def find_document(name: str, reader: IndexReader, index: Path) -> IndexedDocument:
    """Return the one document of the index that a name means.

    Raises:
        QuestionError: the name matches no document, or several.
        DocumentError: the document could not be read when the index was built.
    """
    from echo_index.indexer.inspection.document_queries import paths_with_archives, read_indexed_document

    with reader.reading():
        path = select_document(name, paths_with_archives(reader), index)
        return read_indexed_document(reader, path)


def print_document_answer(
    document: IndexedDocument,
    question: str | None,
    *,
    model: BaseChatModel,
    embed: Embed | None = None,
    json: bool,
    out: Console,
    err: Console,
    notice: Callable[[str], None],
) -> None:
    """Print what the model writes about a whole document: the answer to a question, or a summary.

    Ctrl-C stops it; what the parts say that were read until then is printed.

    Raises:
        QuestionError: the question is empty.
        ModelError: the model is a base model, which cannot summarize.
    """
    from echo_index.retriever.rag.whole_document import answer_from_notes, document_parts, take_notes

    if question is not None and not question.strip():
        raise QuestionError("The question is empty.", remedy="Ask something, or leave it out for a summary.")
    parts = document_parts(document, model)
    notes: list[str] = []
    try:
        with WorkProgress(err) as progress:
            for note in take_notes(parts, model=model, question=question):
                notes.append(note)
                progress.show("Reading", len(notes), len(parts))
        stream = answer_from_notes(parts, notes, model=model, question=question, embed=embed)
        if json:
            output.print_json(out, answer_fields(stream.answer))
        else:
            output.print_answer(out, stream)
    except KeyboardInterrupt:
        notice(f"Stopped after {len(notes)} of {pluralize(len(parts), 'part')}.")
        if len(parts) > 1 and not json:
            output.print_notes(out, list(zip(parts, notes, strict=False)))
        raise typer.Exit(130) from None
