"""The commands `search` and `ask`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from echo_index.app.cli import output
from echo_index.app.cli.freshness import Update, bring_up_to_date, changes_by_index, tell_changes
from echo_index.app.cli.index_search import index_search
from echo_index.app.cli.options import (
    AsJson,
    Before,
    Exact,
    Formats,
    IndexDirs,
    Instruction,
    MinScore,
    ModelDevice,
    ModelName,
    Paths,
    Rerank,
    SearchDevice,
    SearchMode,
    Since,
    Where,
    err,
    notice,
    out,
    read_filter,
)
from echo_index.app.cli.query_pipe import FROM_INPUT, read_queries, search_each
from echo_index.app.defaults import DEFAULTS
from echo_index.app.services.json_fields import answer_fields, change_fields, hit_fields

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from langchain_core.language_models import BaseChatModel

    from echo_index.indexer.inspection.changed_files import FileChanges
    from echo_index.retriever.rag.local_writer import LocalWriter
    from echo_index.retriever.search.hits import Hit


def search(
    query: Annotated[
        str, typer.Argument(help="What to look for; - reads a question from each line of standard input.")
    ],
    index: IndexDirs = [DEFAULTS.index_dir],  # noqa: B006
    k: Annotated[int, typer.Option("-k", min=1, help="Number of passages.")] = DEFAULTS.results,
    mode: SearchMode = "hybrid",
    instruction: Instruction = None,
    path: Paths = [],  # noqa: B006
    format: Formats = [],  # noqa: B006
    since: Since = None,
    before: Before = None,
    where: Where = None,
    rerank: Rerank = 0,
    exact: Exact = False,
    min_score: MinScore = None,
    device: ModelDevice = "auto",
    index_device: SearchDevice = "auto",
    model: ModelName = None,
    update: Update = False,
    json: AsJson = False,
) -> None:
    """Find the passages that best match a question."""
    if update:
        from echo_index.app.services.collections import find_indexes

        for folder in find_indexes(index).values():
            bring_up_to_date(folder, model=model, device=device)
    searched = index_search(
        indexes=index,
        model=model,
        device=device,
        index_device=index_device,
        k=k,
        mode=mode,
        instruction=instruction,
        where=read_filter(paths=path, formats=format, since=since, before=before, where=where),
        rerank=rerank,
        exact=exact,
        min_score=min_score,
        at_once=True,
    )

    def print_found(question: str, hits: list[Hit]) -> None:
        if hits:
            output.print_hits(out, hits)
            return
        from echo_index.retriever.search.lexical import nothing_found

        out.print(nothing_found(question, mode=mode, exact=exact), markup=False, highlight=False)

    if query == FROM_INPUT:
        if sys.stdin.isatty():
            notice("Write a question on each line; Ctrl-D ends.")
        queries = read_queries(sys.stdin.buffer)
        if not search_each(queries, find=searched.find, print_found=print_found, as_json=json, out=out, notice=notice):
            raise typer.Exit(1)
        return
    hits = searched.find(query)
    if json:
        output.print_json(out, [hit_fields(hit) for hit in hits])
    elif hits or min_score is None:  # else what is missing has been said
        print_found(query, hits)
    if not update:  # after the hits, which need not wait for it
        tell_changes(changes_by_index(searched.indexes))
    if min_score is not None and not hits:
        raise typer.Exit(1)


def ask(
    question: Annotated[str | None, typer.Argument(help="The question.", show_default=False)] = None,
    chat: Annotated[
        bool, typer.Option("--chat", help="Go on asking: follow-up questions may refer to what was said before.")
    ] = False,
    document: Annotated[
        str | None,
        typer.Option(
            help="Read this whole document instead of searching: summarize it, or answer the QUESTION from all of it.",
            metavar="PATH",
        ),
    ] = None,
    index: IndexDirs = [DEFAULTS.index_dir],  # noqa: B006
    k: Annotated[
        int | None,
        typer.Option(
            "-k",
            min=1,
            help="Number of passages given to the model. Default: 3, and for an instruction-tuned model up to 8 where "
            "they have more words of the question.",
        ),
    ] = None,
    mode: SearchMode = "hybrid",
    instruction: Instruction = None,
    path: Paths = [],  # noqa: B006
    format: Formats = [],  # noqa: B006
    since: Since = None,
    before: Before = None,
    where: Where = None,
    rerank: Rerank = 0,
    exact: Exact = False,
    min_score: MinScore = None,
    device: ModelDevice = "auto",
    index_device: SearchDevice = "auto",
    model: ModelName = None,
    writer: Annotated[
        str | None,
        typer.Option(
            help="Let another model on this machine write the answer; names as for --model. Default: the embedded "
            "writer if it is installed and fits into the memory, else the model of the index.",
            metavar="NAME",
        ),
    ] = None,
    no_adapter: Annotated[
        bool, typer.Option("--no-adapter", help="Let the model write without its adapter for answers.")
    ] = False,
    llm: Annotated[
        str | None,
        typer.Option(
            help="Let a model elsewhere write the answer: openai:MODEL, ollama:MODEL or an OpenAI-compatible URL.",
            metavar="NAME",
        ),
    ] = None,
    update: Update = False,
    json: AsJson = False,
) -> None:
    """Answer a question from the documents, with citations."""
    from echo_index.app.cli.chat import run_chat
    from echo_index.app.cli.document_answer import find_document, print_document_answer
    from echo_index.app.services.external_llm import answering, open_llm, redact
    from echo_index.app.services.writers import chat_model_of, choose_writer, local_writer, own_writer
    from echo_index.embeddings.runtime.devices import choose_device
    from echo_index.retriever.rag.answer_stream import stream_answer
    from echo_index.retriever.rag.passage_choice import MAX_PASSAGES, choose_passages

    if question is None and not chat and document is None:
        raise typer.BadParameter("Write a QUESTION, or start a conversation with --chat.")
    if document is not None:
        of_searches = {
            "--chat": chat, "-k": k, "--mode": mode != "hybrid", "--instruction": instruction, "--path": path,
            "--format": format, "--since": since, "--before": before, "--where": where, "--rerank": rerank,
            "--exact": exact, "--min-score": min_score,
        }  # fmt: skip
        if unused := [name for name, given in of_searches.items() if given]:
            raise typer.BadParameter(f"--document reads one whole document; leave out {', '.join(unused)}.")
        if len(index) > 1:
            raise typer.BadParameter("--document reads a document of one index; name only one --index.")
    if chat and json:
        raise typer.BadParameter("--json prints the answer to one question; leave out --chat.")
    if writer is not None and llm is not None:
        raise typer.BadParameter("--writer and --llm cannot be used together: one model writes the answer.")
    if update:
        from echo_index.app.services.collections import find_indexes

        for folder in find_indexes(index).values():
            bring_up_to_date(folder, model=model, device=device)
    chat_model: BaseChatModel | None = None
    if llm is not None:
        chat_model = open_llm(llm)
        read = "the passages that are found" if document is None else "the whole document"
        notice(f"The question and {read} are sent to {redact(llm)}.")
    searched = index_search(
        indexes=index,
        model=model,
        device=device,
        index_device=index_device,
        k=k or MAX_PASSAGES,
        mode=mode,
        instruction=instruction,
        where=read_filter(paths=path, formats=format, since=since, before=before, where=where),
        rerank=rerank,
        exact=exact,
        min_score=min_score,
    )

    def writer_here() -> LocalWriter:
        chosen = writer
        if chosen is None and not no_adapter:
            chosen = choose_writer(searched.encoder, choose_device(device)).name
        if chosen is None:
            return own_writer(searched.searcher, with_adapter=not no_adapter)
        return local_writer(chosen, with_adapter=not no_adapter, device=device, notice=notice)

    def look_for_changes() -> dict[Path, FileChanges | None]:  # after the answer, which need not wait for it
        return {} if update else changes_by_index(searched.indexes)

    embed = searched.searcher.embed_sentences
    if document is not None:
        whole = find_document(document, searched.retrievers[0].reader, searched.indexes[0])
        with answering(llm):
            model_for_document = chat_model or chat_model_of(writer_here())
            print_document_answer(
                whole, question, model=model_for_document, embed=embed, json=json, out=out, err=err, notice=notice
            )
        tell_changes(look_for_changes())
        return
    if question is None or chat:
        tell_changes(look_for_changes())
        chat_model = chat_model or chat_model_of(writer_here())
        chosen = partial(_passages, find=searched.find, model=chat_model, k=k)
        run_chat(question, search=chosen, model=chat_model, embed=embed, llm=llm, out=out, notice=notice)
        return
    hits = searched.find(question)
    # After the search, which needs seconds where a new writer needs minutes. LangChain takes half a second to load.
    answering_model = chat_model or writer_here()
    with nullcontext() if llm is None else answering(llm):
        given = choose_passages(question, hits, model=answering_model, k=k)
        stream = stream_answer(question, given, model=answering_model, embed=embed)
        if json:
            fields, changes = answer_fields(stream.answer), look_for_changes()
            output.print_json(out, {**fields, "changed_files": change_fields(changes.values())})
        else:
            output.print_answer(out, stream)
            changes = look_for_changes()
    tell_changes(changes)


def _passages(question: str, *, find: Callable[[str], list[Hit]], model: BaseChatModel, k: int | None) -> list[Hit]:
    from echo_index.retriever.rag.passage_choice import choose_passages

    return choose_passages(question, find(question), model=model, k=k)
