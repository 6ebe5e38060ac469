"""What several commands share: options, the two consoles, and how an index is opened for a question."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

if TYPE_CHECKING:
    from echo_index.indexer.catalog.records import SearchFilter
    from echo_index.retriever.search.retriever import Retriever

out = Console(highlight=False, markup=False)
err = Console(stderr=True, highlight=False, markup=False)

IndexDir = Annotated[Path, typer.Option("--index", help="The folder of the index.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ModelDevice = Annotated[Literal["auto", "cpu", "cuda"], typer.Option("--device", help="Where the model runs.")]
SearchDevice = Annotated[Literal["auto", "cpu", "gpu"], typer.Option("--index-device", help="Where FAISS searches.")]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="An embedded model's name, a folder, a GGUF file or a hub id. Default: the index's own, or gemma3-270m.",
    ),
]
SearchMode = Annotated[
    Literal["hybrid", "dense", "lexical"], typer.Option(help="By meaning (dense), by words (lexical), or both.")
]
Adapter = Annotated[
    Path | None, typer.Option(help="An adapter's folder, from tune. Default: the one that comes along for the model.")
]
NoAdapter = Annotated[bool, typer.Option("--no-adapter", help="The model as it is, without the adapter for it.")]
Precision = Annotated[
    Literal["auto", "fp32", "bf16", "int8"] | None,
    typer.Option(
        "--precision", help="Of the matrix products. Default: auto, int8 where it is fast and nearly as good."
    ),
]
Instruction = Annotated[str | None, typer.Option(help="The task in words, such as 'Find code that does this.'")]
Paths = Annotated[list[str], typer.Option("--path", help="Only documents whose path matches this glob. Repeatable.")]
Rerank = Annotated[
    int, typer.Option(min=0, help="Reorder the best so many by how likely each makes the question; slower.")
]
Formats = Annotated[list[str], typer.Option("--format", help="Only this format: markdown, pdf … Repeatable.")]


def notice(line: str) -> None:
    """Tell something beside the result."""
    err.print(line, style="dim", soft_wrap=True)


def open_retriever(
    index: Path,
    model: str | None,
    device: Literal["auto", "cpu", "cuda"],
    index_device: Literal["auto", "cpu", "gpu"],
) -> Retriever:
    """Open an index to be searched."""
    from echo_index.retriever.search.retriever import Retriever

    return Retriever.open(index, model=model, device=device, index_device=index_device, notice=notice)


def make_filter(paths: list[str], formats: list[str]) -> SearchFilter:
    """Return the filter that a person asks for."""
    from echo_index.indexer.catalog.records import SearchFilter

    return SearchFilter(paths=tuple(paths), formats=tuple(formats))
