"""Write the results of tools as text, for assistants that read that instead of the structured result."""

from __future__ import annotations

from functools import singledispatch

from pydantic import BaseModel

from echo_index.app.services.formatting import byte_count, document_name, heading_path, pluralize
from echo_index.app.services.tool_results import (
    AnswerResult,
    DocumentEntry,
    DocumentList,
    DocumentText,
    Passage,
    SearchResult,
    StatusResult,
)


@singledispatch
def result_text(result: BaseModel) -> str:
    """Return a result as text, with how to get more of it where there is more."""
    return result.model_dump_json()


@result_text.register
def _(result: SearchResult) -> str:
    parts = [
        f"{number}. {_head(passage)} (score {passage.score:.2f})\n{passage.text.strip()}"
        for number, passage in enumerate(result.passages, start=result.offset + 1)
    ]
    if result.note:
        parts.append(result.note)
    if result.next_offset is not None:
        parts.append(f"More passages: search again with offset {result.next_offset}.")
    return "\n\n".join(parts)


@result_text.register
def _(result: AnswerResult) -> str:
    passages = [f"[{passage.number}] {_head(passage)}\n{passage.text.strip()}" for passage in result.citations]
    return "\n\n".join([result.text, *passages])


@result_text.register
def _(result: DocumentText) -> str:
    place = f", {result.place}" if result.place else ""
    name = document_name(result.source, result.collection)
    head = f"{name}{place} (characters {result.start:,} to {result.end:,} of {result.length:,})"
    more = f"\n\nThe document goes on: read again with start {result.next_start}." if result.next_start else ""
    return f"{head}\n\n{result.text}{more}"


@result_text.register
def _(result: DocumentList) -> str:
    lines = [_line(document) for document in result.documents]
    head = f"{pluralize(result.total, 'document')}, from number {result.offset + 1:,} on:" if lines else "No document."
    if result.next_offset is not None:
        lines.append(f"More documents: list them with offset {result.next_offset}.")
    return "\n".join([head, *lines])


@result_text.register
def _(result: StatusResult) -> str:
    formats = ", ".join(f"{count:,} {name}" for name, count in result.formats.items())
    lines = [
        f"{pluralize(result.documents, 'document')} ({formats}) in {pluralize(result.passages, 'passage')}.",
        f"Built {result.finished} with the model {result.model}; {byte_count(result.disk_bytes)} on disk."
        if result.disk_bytes
        else f"Built {result.finished} with the model {result.model}.",
    ]
    for collection in result.collections:
        about = f": {collection.about}" if collection.about else ""
        size = f"{pluralize(collection.documents, 'document')}, {pluralize(collection.passages, 'passage')}"
        if collection.problem:
            lines.append(collection.problem)
        elif len(result.collections) > 1 or collection.about:
            lines.append(f"Collection {collection.name} ({size}){about}")
    if result.failed:
        lines.append(f"{pluralize(result.failed, 'file')} could not be read:")
        lines += [f"{failure.source}: {failure.reason}" for failure in result.failures]
    if result.incomplete:
        lines.append(f"Some part of {pluralize(result.incomplete, 'document')} has no text.")
    return "\n".join(lines)


def _head(passage: Passage) -> str:
    title = heading_path(passage.title, passage.headings)
    notes = [passage.location, passage.recognized, *(f"also at {place}" for place in passage.alike)]
    return " — ".join(filter(None, [title, "; ".join(filter(None, notes))]))


def _line(document: DocumentEntry) -> str:
    state = f"not read: {document.failure}" if document.failure else pluralize(document.passages, "passage")
    title = f": {document.title}" if document.title and document.title not in document.source else ""
    return f"{document_name(document.source, document.collection)} ({state}){title}"
