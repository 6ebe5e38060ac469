"""Options, consoles and helpers that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.text import Text

from echo_index.app.cli.output import strip_controls

if TYPE_CHECKING:
    from echo_index.indexer.catalog.records import SearchFilter

out = Console(highlight=False, markup=False)
err = Console(stderr=True, highlight=False, markup=False)


def _find_index(given: Path) -> Path:
    """Return the place of an index that is given by it or by the name of a collection."""
    from echo_index.app.services.collections import find_indexes

    [place] = find_indexes([given]).values()
    return place


def _find_folder(given: Path) -> Path:
    """Return the folder of an index like `_find_index`, for a command that needs one."""
    from echo_index.indexer.stores.location import local_folder

    return local_folder(_find_index(given), task="This command")


IndexDir = Annotated[
    Path, typer.Option("--index", callback=_find_folder, help="Folder of the index, or the name of a collection.")
]
IndexPlace = Annotated[
    Path,
    typer.Option(
        "--index",
        callback=_find_index,
        help="Folder of the index, the name of a collection, or a store: milvus:http://host:19530.",
    ),
]
IndexDirs = Annotated[
    list[Path],
    typer.Option(
        "--index",
        help="Folder of the index, the name of a collection, or a store: milvus:http://host:19530. Repeatable: all are "
        "searched as one.",
    ),
]
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
    str | None,
    typer.Option(
        help="Settings of a known model, such as qwen3-embedding-0.6b, for a copy of it in a folder; or a file that "
        "calibrate wrote: model, layer, prompts and pooling.",
        metavar="NAME|FILE",
    ),
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
