"""Questions to an index: passages, or an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from echo_index.app.cli import output
from echo_index.app.cli.options import (
    AsJson,
    Formats,
    IndexDir,
    Instruction,
    ModelDevice,
    ModelName,
    Paths,
    Rerank,
    SearchDevice,
    SearchMode,
    make_filter,
    notice,
    open_retriever,
    out,
)
from echo_index.app.defaults import DEFAULTS
from echo_index.app.services.json_fields import answer_fields, hit_fields

if TYPE_CHECKING:
    from echo_index.retriever.rag.chat_model import EchoChatModel
    from echo_index.retriever.search.retriever import Retriever


def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    index: IndexDir = DEFAULTS.index_dir,
    k: Annotated[int, typer.Option("-k", min=1, help="How many passages.")] = DEFAULTS.results,
    mode: SearchMode = "hybrid",
    instruction: Instruction = None,
    path: Paths = [],  # noqa: B006
    format: Formats = [],  # noqa: B006
    rerank: Rerank = 0,
    device: ModelDevice = "auto",
    index_device: SearchDevice = "auto",
    model: ModelName = None,
    json: AsJson = False,
) -> None:
    """Find the passages that fit a question, best first."""
    retriever = open_retriever(index, model, device, index_device)
    where = make_filter(path, format)
    hits = retriever.search(query, k=k, mode=mode, instruction=instruction, where=where, rerank=rerank, group=True)
    if json:
        output.print_json(out, [hit_fields(hit) for hit in hits])
    else:
        output.print_hits(out, hits)


def ask(
    question: Annotated[str, typer.Argument(help="The question.")],
    index: IndexDir = DEFAULTS.index_dir,
    k: Annotated[int, typer.Option("-k", min=1, help="How many passages the model is given.")] = DEFAULTS.passages,
    mode: SearchMode = "hybrid",
    instruction: Instruction = None,
    path: Paths = [],  # noqa: B006
    format: Formats = [],  # noqa: B006
    rerank: Rerank = 0,
    device: ModelDevice = "auto",
    index_device: SearchDevice = "auto",
    model: ModelName = None,
    llm: Annotated[
        str | None,
        typer.Option(help="Another model writes the answer: openai:MODEL, ollama:MODEL or an OpenAI-compatible URL."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Answer a question from the passages that are found, with citations."""
    from contextlib import nullcontext

    from echo_index.app.services.external_llm import open_llm, redact, translate_llm_errors, untraced
    from echo_index.retriever.rag.answer_stream import stream_answer

    other = None if llm is None else open_llm(llm)
    retriever = open_retriever(index, model, device, index_device)
    if llm is not None:
        notice(f"The question and the passages that are found are sent to {redact(llm)}.")
    where = make_filter(path, format)
    hits = retriever.search(question, k=k, mode=mode, instruction=instruction, where=where, rerank=rerank, group=True)
    with nullcontext() if llm is None else translate_llm_errors(llm), untraced():
        stream = stream_answer(question, hits, model=other or _own_writer(retriever))
        if json:
            output.print_json(out, answer_fields(stream.answer))
        else:
            output.print_answer(out, stream)


def _own_writer(retriever: Retriever) -> EchoChatModel:
    from echo_index.retriever.rag.chat_model import EchoChatModel

    return EchoChatModel(language_model=retriever.encoder.model, max_tokens=DEFAULTS.answer_tokens)
