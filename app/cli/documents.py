"""The commands `status`, `verify` and `remove`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from echo_index.app.cli import output
from echo_index.app.cli.options import AsJson, IndexDir, IndexPlace, ModelDevice, ModelName, SearchDevice, notice, out
from echo_index.app.defaults import DEFAULTS


def status(
    index: IndexPlace = DEFAULTS.index_dir,
    device: ModelDevice = "auto",
    index_device: SearchDevice = "auto",
    json: AsJson = False,
) -> None:
    """Show what is indexed, with which model, how large the index is, and what could not be read."""
    from echo_index.app.services.status import read_status, status_lines
    from echo_index.indexer.sources.skipped_files import SkippedFiles

    facts = read_status(index, device=device, index_device=index_device, notice=notice)
    if json:
        output.print_json(out, facts)
        return
    for label, text in status_lines(facts):
        out.print(Text.assemble((f"{label:<14}", "bold"), output.strip_controls(text)), soft_wrap=True)
    output.print_skipped(out, SkippedFiles.parse(facts["skipped"]))
    output.print_recognitions(out, facts["recognitions"])
    output.print_omissions(out, facts["omissions"])
    output.print_failures(out, facts["failures"])
    output.print_hint(out, facts["ocr"]["hint"])


def verify(
    index: IndexDir = DEFAULTS.index_dir,
    repair: Annotated[
        bool, typer.Option("--repair", help="Rebuild damaged parts that can be derived from others.")
    ] = False,
    without_model: Annotated[
        bool, typer.Option("--without-model", help="Do not load the model and check its vectors; faster.")
    ] = False,
    model: ModelName = None,
    device: ModelDevice = "auto",
    json: AsJson = False,
) -> None:
    """Check the files, counts, hashes and vectors of the index, and that the model still gives the same vectors."""
    from echo_index.app.services.encoder_factory import encoder_from_index
    from echo_index.app.services.json_fields import check_fields
    from echo_index.indexer.inspection.verify import verify_index

    load_encoder = None if without_model else encoder_from_index(model, device=device, notice=notice)
    checks = verify_index(index, load_encoder=load_encoder, repair=repair)
    if json:
        output.print_json(out, [check_fields(check) for check in checks])
    else:
        output.print_checks(out, checks, repaired=repair)
    if any(check.problems and not check.repaired for check in checks):
        raise typer.Exit(1)


def remove(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Files, document names as search shows them, or globs over these names.", metavar="PATH..."
        ),
    ],
    index: IndexDir = DEFAULTS.index_dir,
    json: AsJson = False,
) -> None:
    """Remove documents from the index; later builds skip them. The files themselves are not deleted."""
    from dataclasses import asdict

    from echo_index.app.services.document_selection import select_documents
    from echo_index.indexer.building.removal import remove_documents
    from echo_index.indexer.generations.snapshot import open_snapshot
    from echo_index.indexer.inspection.document_queries import paths_with_archives

    snapshot = open_snapshot(index, index_device="cpu", notice=notice)
    report = remove_documents(select_documents(paths, paths_with_archives(snapshot), index), index)
    if json:
        output.print_json(out, asdict(report))
    else:
        output.print_removal(out, report)
