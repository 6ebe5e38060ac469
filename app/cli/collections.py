"""The command `collections`: names for indexes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from echo_index.app.cli import output
from echo_index.app.cli.options import AsJson, out

collections = typer.Typer(
    help="Give indexes names that --index takes from anywhere, as in --index work.", no_args_is_help=True
)
CollectionName = Annotated[str, typer.Argument(help="The name.", metavar="NAME")]


@collections.command("add")
def add(
    name: CollectionName,
    index: Annotated[Path, typer.Argument(help="Folder of the index, or a store.", metavar="INDEX")],
    about: Annotated[
        str, typer.Option(help="A line that says what the documents are about. Default: the context of the index.")
    ] = "",
) -> None:
    """Name an index, or change the index or the line of a name."""
    from echo_index.app.services.collections import Collection, add_collection

    added = add_collection(Collection(name, index, about))
    out.print(output.strip_controls(f"{name} is the index in {added.index}."), soft_wrap=True)


@collections.command("list")
def list_collections(json: AsJson = False) -> None:
    """List the names, their indexes and what they are about."""
    from echo_index.app.services.collections import described, read_collections

    listed = [(each.name, str(each.index), described(each)) for each in read_collections().values()]
    if json:
        output.print_json(out, [{"name": name, "index": index, "about": about} for name, index, about in listed])
    elif not listed:
        out.print("There are no collections. Add one: echo-index collections add NAME INDEX")
    for name, index, about in () if json else listed:
        line = f"{name}: {index}" + (f" ({about})" if about else "")
        out.print(output.strip_controls(line), soft_wrap=True)


@collections.command("remove")
def remove(name: CollectionName) -> None:
    """Forget the name of an index. The index itself stays."""
    from echo_index.app.services.collections import remove_collection

    removed = remove_collection(name)
    out.print(output.strip_controls(f"{name} is no longer a name of the index in {removed.index}."), soft_wrap=True)
