"""Documents become an index."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from echo_index.app.cli import output
from echo_index.app.cli.options import (
    Adapter,
    AsJson,
    IndexDir,
    ModelDevice,
    ModelName,
    NoAdapter,
    Precision,
    err,
    notice,
    out,
)
from echo_index.app.defaults import DEFAULTS


def build(
    sources: Annotated[
        list[str],
        typer.Argument(help="Folders, files or globs. Default: those of earlier builds.", metavar="[SOURCE]..."),
    ] = [],  # noqa: B006
    index: IndexDir = DEFAULTS.index_dir,
    model: ModelName = None,
    adapter: Adapter = None,
    no_adapter: NoAdapter = False,
    layer: Annotated[
        str | None, typer.Option(help="The layer to read, such as 16; or views of both copies: echo:16+0.5*text:13.")
    ] = None,
    pooling: Annotated[
        Literal["mean", "last"] | None, typer.Option(help="How the second copy becomes one vector.")
    ] = None,
    document_prompt: Annotated[str | None, typer.Option(help="A template with {text} and {echo}.")] = None,
    query_prompt: Annotated[str | None, typer.Option(help="A template, {instruction} too.")] = None,
    chunk_tokens: Annotated[
        int | None, typer.Option(min=16, help="The most tokens of a passage. Default: 200.")
    ] = None,
    overlap_tokens: Annotated[
        int | None, typer.Option(min=0, help="Tokens two passages have in common. Default: 30.")
    ] = None,
    include: Annotated[
        list[str], typer.Option(help="Only files that match, as in .gitignore; '*' is all of them. Repeatable.")
    ] = [],  # noqa: B006
    exclude: Annotated[list[str], typer.Option(help="No files that match, as in .gitignore. Repeatable.")] = [],  # noqa: B006
    profile: Annotated[
        Path | None, typer.Option(help="A file that echo-index calibrate wrote: model, layer, prompts, pooling.")
    ] = None,
    rebuild: Annotated[bool, typer.Option(help="Start anew; the old index serves until the new one is done.")] = False,
    precision: Precision = None,
    device: ModelDevice = "auto",
    json: AsJson = False,
) -> None:
    """Bring the index up to date with folders, files or globs. Only what is new or changed is embedded."""
    from dataclasses import asdict

    from echo_index.app.cli.progress import WorkProgress, interruptible
    from echo_index.app.services.encoder_factory import (
        EncoderOptions,
        choose_chunking,
        choose_sources,
        open_encoder,
    )
    from echo_index.app.services.profile_file import with_profile
    from echo_index.indexer.building.build_files import build_index
    from echo_index.indexer.building.build_session import read_built_with

    chosen = choose_sources(sources, index, include=include, exclude=exclude, notice=notice)
    if not chosen:
        raise typer.BadParameter(f"no source of an index in {index} is known yet; name one.", param_hint="SOURCE")
    before = read_built_with(index)
    chunking = choose_chunking(chunk_tokens, overlap_tokens, before=before)
    options = EncoderOptions(
        model, adapter, no_adapter, layer, pooling, document_prompt, query_prompt, precision, device
    )
    if profile is not None:
        options = with_profile(options, profile)
    encoder = open_encoder(options, before=before, chunk_tokens=chunking.max_tokens, notice=notice)
    with interruptible(notice, kept="What was embedded"), WorkProgress(err) as progress:
        report = build_index(
            chosen,
            index,
            encoder=encoder,
            chunking=chunking,
            rebuild=rebuild,
            progress=progress.show_stage,
        )
    if json:
        output.print_json(out, asdict(report))
    else:
        output.print_report(out, report)
    if not report.documents and not report.left_out:
        raise typer.Exit(1)
