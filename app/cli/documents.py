"""What an index holds, whether it is sound, and what leaves it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from echo_index.app.cli import output
from echo_index.app.cli.options import AsJson, IndexDir, ModelDevice, ModelName, SearchDevice, notice, out
from echo_index.app.defaults import DEFAULTS


def status(
    index: IndexDir = DEFAULTS.index_dir,
    device: ModelDevice = "auto",
    index_device: SearchDevice = "auto",
    json: AsJson = False,
) -> None:
    """Tell what is indexed, with which model, how large it is, what could not be read and why."""
    from echo_index.app.services.status import read_status, status_lines

    found = read_status(index, device=device, index_device=index_device, notice=notice)
    if json:
        output.print_json(out, found)
        return
    for name, value in status_lines(found):
        out.print(Text.assemble((f"{name:<14}", "bold"), output.strip_controls(value)), soft_wrap=True)
    output.print_failures(out, found["failures"])


def verify(
    index: IndexDir = DEFAULTS.index_dir,
    repair: Annotated[bool, typer.Option("--repair", help="Make anew what is derived and damaged.")] = False,
    without_model: Annotated[bool, typer.Option("--without-model", help="Leave the model out; it is faster.")] = False,
    model: ModelName = None,
    device: ModelDevice = "auto",
    json: AsJson = False,
) -> None:
    """Check every file, count, hash and vector of the index against each other, and the model against the index."""
    from echo_index.app.services.encoder_factory import encoder_from_index
    from echo_index.app.services.json_fields import check_fields
    from echo_index.indexer.inspection.verify import verify_index

    load = None if without_model else encoder_from_index(model, device=device, notice=notice)
    checks = verify_index(index, load_encoder=load, repair=repair)
    if json:
        output.print_json(out, [check_fields(check) for check in checks])
    else:
        output.print_checks(out, checks, repaired=repair)
    if any(check.problems and not check.repaired for check in checks):
        raise typer.Exit(1)


def remove(
    paths: Annotated[
        list[str], typer.Argument(help="Files, names as search shows them, or globs over these.", metavar="PATH...")
    ],
    index: IndexDir = DEFAULTS.index_dir,
    json: AsJson = False,
) -> None:
    """Take documents out of the index; builds leave them out from now on. The files themselves stay."""
    from dataclasses import asdict

    from echo_index.app.services.document_selection import select_documents
    from echo_index.indexer.building.removal import remove_documents
    from echo_index.indexer.generations.snapshot import open_snapshot
    from echo_index.indexer.inspection.document_queries import list_documents

    snapshot = open_snapshot(index, index_device="cpu", notice=notice)
    held = [document.path for document in list_documents(snapshot)]
    report = remove_documents(select_documents(paths, held, index), index)
    if json:
        output.print_json(out, asdict(report))
    else:
        output.print_removal(out, report)
