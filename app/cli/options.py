"""Options, consoles and helpers that several commands share."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.text import Text

from echo_index.app.cli.output import strip_controls

if TYPE_CHECKING:
    from collections.abc import Callable

    from echo_index.indexer.catalog.records import SearchFilter
    from echo_index.retriever.search.hits import Hit
    from echo_index.retriever.search.retriever import Retriever

out = Console(highlight=False, markup=False)
err = Console(stderr=True, highlight=False, markup=False)

IndexDir = Annotated[Path, typer.Option("--index", help="Folder of the index.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ModelDevice = Annotated[Literal["auto", "cpu", "cuda"], typer.Option("--device", help="Device the model runs on.")]
SearchDevice = Annotated[Literal["auto", "cpu", "gpu"], typer.Option("--index-device", help="Device FAISS runs on.")]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Name of a bundled model, a folder, a GGUF file or a Hugging Face id. "
        "Default: the index's model, or gemma3-270m.",
    ),
]
Adapter = Annotated[
    Path | None, typer.Option(help="Folder of an adapter that tune wrote. Default: the bundled one for the model.")
]
NoAdapter = Annotated[bool, typer.Option("--no-adapter", help="Use the model without its bundled adapter.")]
Layer = Annotated[
    str | None,
    typer.Option(help="Layer whose hidden states become the embedding, such as 16, or a sum: echo:16+0.5*text:13."),
]
DocumentPrompt = Annotated[str | None, typer.Option(help="Template for passages, with {text} and {echo}.")]
QueryPrompt = Annotated[
    str | None, typer.Option(help="Template for questions, with {text}, {echo} and, optionally, {instruction}.")
]
Profile = Annotated[
    Path | None, typer.Option(help="File that calibrate wrote: model, layer, prompts and pooling.", metavar="FILE")
]
Precision = Annotated[
    Literal["auto", "fp32", "bf16", "int8"] | None,
    typer.Option(
        "--precision",
        help="Number format of the matrix products. Default: auto (the fastest here that is nearly as accurate).",
    ),
]
SearchMode = Annotated[
    Literal["hybrid", "dense", "lexical"],
    typer.Option(help="Search by meaning (dense), by words (lexical) or by both (hybrid)."),
]
Instruction = Annotated[str | None, typer.Option(help="What to find, such as 'Find code that does this.'")]
Paths = Annotated[
    list[str],
    typer.Option("--path", help="Only this document, archive or folder, or those that match this glob. Repeatable."),
]
Formats = Annotated[list[str], typer.Option("--format", help="Only this format, such as markdown or pdf. Repeatable.")]
Since = Annotated[
    str | None,
    typer.Option(
        help="Only files changed on this date or later, such as 2024, 2024-05, 2024-05-17, yesterday or '7 days'.",
        metavar="DATE",
    ),
]
Before = Annotated[str | None, typer.Option(help="Only files changed before this date.", metavar="DATE")]
Where = Annotated[
    str | None,
    typer.Option(
        help="Only documents whose fields meet this condition, such as 'date >= 2024 and author = \"Ng\"'.",
        metavar="CONDITION",
    ),
]
Rerank = Annotated[
    int,
    typer.Option(min=0, help="Reorder the best N passages by how likely each makes the question; slower.", metavar="N"),
]
MinScore = Annotated[
    float | None,
    typer.Option(
        "--min-score",
        min=0,
        max=1,
        help="Only passages of at least this relevance: with 0.9, one of ten questions that the documents know nothing "
        "about finds any.",
        metavar="P",
    ),
]
WatchPolling = Annotated[
    bool,
    typer.Option(
        "--watch-polling",
        help="With --watch, look at the files every few seconds instead of waiting for events. This is done by itself "
        "for network drives and folders that WSL or a container shares with its host.",
    ),
]
Exact = Annotated[
    bool,
    typer.Option(
        "--exact",
        help="Only passages that have the text in quotation marks word for word, or the whole query if there is none.",
    ),
]


def notice(line: str) -> None:
    """Print a message to standard error."""
    err.print(line, style="dim", soft_wrap=True)


def read_filter(
    *, paths: list[str], formats: list[str], since: str | None, before: str | None, where: str | None
) -> SearchFilter:
    """Return the filter of the options; what cannot be read is bad usage, with exit code 2."""
    from echo_index.errors import ConditionError, FilterError
    from echo_index.indexer.catalog.records import SearchFilter

    for option, value in (("--since", since), ("--before", before), ("--where", where)):
        if value is not None and not value.strip():
            raise typer.BadParameter(f"{option} is empty; leave it out to restrict nothing.")
    try:
        return SearchFilter.parse(paths=paths, formats=formats, since=since, before=before, where=where)
    except FilterError as error:
        err.print(Text.assemble(("Error: ", "bold red"), strip_controls(str(error))), soft_wrap=True)
        if isinstance(error, ConditionError):
            err.print(Text(strip_controls(error.excerpt)), soft_wrap=True)
        raise typer.Exit(2) from None


def index_search(
    *,
    index: Path,
    model: str | None,
    device: Literal["auto", "cpu", "cuda"],
    index_device: Literal["auto", "cpu", "gpu"],
    k: int,
    mode: Literal["hybrid", "dense", "lexical"],
    instruction: str | None,
    where: SearchFilter,
    rerank: int,
    exact: bool,
    min_score: float | None = None,
    at_once: bool = False,
) -> tuple[Retriever, Callable[[str], list[Hit]]]:
    """Open an index; return its retriever and a function that finds the best hits, duplicates grouped.

    With `at_once`, it embeds queries without torch if possible.
    """
    if min_score is not None and mode == "lexical":
        raise typer.BadParameter("--min-score compares meanings, and --mode lexical does not; leave out one of them.")
    from echo_index.app.services.query_vector import QueryVectors

    vectors = QueryVectors(model=model, device=device, notice=notice) if at_once else None
    from echo_index.retriever.search.retriever import Retriever
    from echo_index.retriever.search.searcher import validate_query

    retriever = Retriever.open(index, model=model, device=device, index_device=index_device, notice=notice)
    if mode != "lexical":
        retriever.snapshot.stored_vectors.load_early()  # while the model is loaded
    _report_unknown_paths(retriever, where.paths)
    if where.where is not None:
        _report_unknown_fields(retriever, where)

    def search(query: str) -> list[Hit]:
        validate_query(query, k)
        quick = None if mode == "lexical" else vectors
        if vectors is None and mode != "lexical":
            from echo_index.embeddings.queries.query_weights import write_query_weights

            write_query_weights(retriever.encoder)
        find = partial(
            retriever.search,
            query,
            mode=mode,
            instruction=instruction,
            where=where,
            exact=exact,
            vector=None if quick is None else quick.vector(retriever, query, instruction=instruction),
        )
        hits = find(k=k, rerank=rerank, group=True, min_score=min_score)
        if min_score is not None and not hits:
            _report_best(find(k=1), min_score)
        return hits

    return retriever, search


def _report_best(best: list[Hit], min_score: float) -> None:
    """Say on standard error that no hit has the least score, and what the best one has."""
    reached = f"; the best one has {best[0].relevance:.2f}" if best and best[0].relevance is not None else ""
    notice(f"No passage reaches --min-score {min_score:g}{reached}.")


def _report_unknown_fields(retriever: Retriever, where: SearchFilter) -> None:
    """Say which fields of a condition no document has, and which there are."""
    from echo_index.indexer.inspection.document_queries import unknown_fields

    with retriever.snapshot.reading():
        unknown, known = unknown_fields(retriever.snapshot, where)
    for name in unknown:
        notice(f"No document has the field {name}; there are {', '.join(known)}.")


def _report_unknown_paths(retriever: Retriever, names: tuple[str, ...]) -> None:
    from echo_index.indexer.catalog.document_names import named_documents
    from echo_index.indexer.inspection.document_queries import paths_with_archives

    if not names:
        return
    with retriever.snapshot.reading():
        documents = paths_with_archives(retriever.snapshot)
    for name in names:
        if not named_documents(name, documents, retriever.index_dir):
            notice(f"No document matches --path {name or repr(name)}.")
