"""The command `build`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from echo_index.app.cli import output
from echo_index.app.cli.options import (
    Adapter,
    AsJson,
    DocumentPrompt,
    IndexDir,
    Layer,
    ModelDevice,
    ModelName,
    NoAdapter,
    Precision,
    Profile,
    QueryPrompt,
    WatchPolling,
    err,
    notice,
    out,
)
from echo_index.app.defaults import DEFAULTS
from echo_index.app.services.engine_choice import LOCAL_ENGINE

if TYPE_CHECKING:
    from echo_index.indexer.building.document_sync import BuildReport
    from echo_index.indexer.sources.source import Source

_Include = Annotated[
    list[str],
    typer.Option(
        help="Index only files that match a .gitignore pattern; '*' matches all. Repeatable.", metavar="PATTERN"
    ),
]
_Exclude = Annotated[
    list[str], typer.Option(help="Skip files that match a .gitignore pattern. Repeatable.", metavar="PATTERN")
]


def _parse_context(text: str | None) -> str | None:
    from echo_index.errors import TextError
    from echo_index.indexer.documents.context_line import parse_context

    try:
        return None if text is None else parse_context(text)
    except TextError as error:
        raise typer.BadParameter(str(error)) from None


_IndexKind = Annotated[
    str | None,
    typer.Option(
        help="Index of the vectors: auto (exact up to 100,000 passages), exact, or a FAISS factory string such as "
        "IVF1024,PQ160x4fs. Trains it anew; later builds do the same.",
        metavar="KIND",
    ),
]
_Recall = Annotated[
    float | None,
    typer.Option(
        min=0.5,
        max=1,
        help="Share of the nearest passages that an approximate index has to find; later builds do the same. "
        "Default: 0.98.",
    ),
]


def _parse_store(text: str | None) -> str | None:
    from echo_index.errors import StoreError
    from echo_index.indexer.stores.location import StoreLocation

    try:
        return str(StoreLocation.parse(text)) if text else text
    except StoreError as error:
        raise typer.BadParameter(str(error)) from None


_Context = Annotated[
    str | None,
    typer.Option(
        callback=_parse_context,
        help="A line that says what the documents are about, embedded with each passage; later builds do the same. "
        "Another one embeds all passages again; '' takes it back.",
        metavar="LINE",
    ),
]


def build(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Folders, files or globs; - reads a list of paths from standard input. Default: the sources of "
            "earlier builds.",
            metavar="[SOURCE]...",
        ),
    ] = [],  # noqa: B006
    null: Annotated[
        bool, typer.Option("--null", "-0", help="The list of - is separated by NUL characters, not by line ends.")
    ] = False,
    index: IndexDir = DEFAULTS.index_dir,
    model: ModelName = None,
    adapter: Adapter = None,
    no_adapter: NoAdapter = False,
    layer: Layer = None,
    pooling: Annotated[
        Literal["mean", "last"] | None,
        typer.Option(help="How the token vectors of the second copy are combined into one."),
    ] = None,
    document_prompt: DocumentPrompt = None,
    query_prompt: QueryPrompt = None,
    chunk_tokens: Annotated[
        int | None, typer.Option(min=16, help="Maximum number of tokens of a passage. Default: 200.")
    ] = None,
    overlap_tokens: Annotated[
        int | None, typer.Option(min=0, help="Tokens that neighbouring passages share. Default: 30.")
    ] = None,
    include: _Include = [],  # noqa: B006
    exclude: _Exclude = [],  # noqa: B006
    profile: Profile = None,
    rebuild: Annotated[
        bool, typer.Option(help="Build from scratch; searches use the old index until the new one is complete.")
    ] = False,
    ocr: Annotated[
        bool | None,
        typer.Option(
            "--ocr/--no-ocr",
            help="Read scanned pages and pictures by OCR if it is installed; later builds do the same. Default: --ocr.",
        ),
    ] = None,
    compare: Annotated[
        bool | None,
        typer.Option(
            "--compare/--no-compare",
            help="Store classical embeddings, too, which only comparisons use; later builds do the same. "
            "Default: --no-compare.",
        ),
    ] = None,
    context: _Context = None,
    index_kind: _IndexKind = None,
    recall: _Recall = None,
    store: Annotated[
        str | None,
        typer.Option(
            callback=_parse_store,
            help="Publish the index, too, so that other machines search it: milvus:http://host:19530, or "
            "milvus:FILE.db for Milvus Lite; #NAME may follow. Later builds do the same; '' ends it.",
            metavar="STORE",
        ),
    ] = None,
    store_only: Annotated[
        bool | None,
        typer.Option(
            "--store-only/--no-store-only",
            help="With --engine ray, bring passages and vectors to the store alone: the folder keeps the list of "
            "documents. Later builds do the same. Default: --no-store-only.",
        ),
    ] = None,
    precision: Precision = None,
    device: ModelDevice = "auto",
    engine: Annotated[
        str,
        typer.Option(
            help="Where files are read and embedded: local, on this machine; ray, on the cluster of Ray that "
            "RAY_ADDRESS names or that runs here, else on one that is started here; or ray://HOST:PORT.",
            metavar="local|ray[://HOST:PORT]",
        ),
    ] = LOCAL_ENGINE,
    parts: Annotated[
        str | None,
        typer.Option(
            help="A folder that all nodes of the cluster share, such as s3://bucket/parts, for what is embedded until "
            "the index has it. Default: inside of the index.",
            metavar="PLACE",
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on: build again whenever files change, until Ctrl-C.")
    ] = False,
    watch_polling: WatchPolling = False,
    json: AsJson = False,
) -> None:
    """Create or update the index from folders, files or globs. Only new and changed files are embedded."""
    from dataclasses import asdict
    from functools import partial

    from echo_index.app.cli.progress import WorkProgress, interruptible
    from echo_index.app.services.context_change import context_change
    from echo_index.app.services.encoder_factory import (
        EncoderOptions,
        choose_chunking,
        encoder_from_index,
        open_encoder,
    )
    from echo_index.app.services.engine_choice import choose_engine
    from echo_index.app.services.profile_file import with_profile
    from echo_index.embeddings.queries.query_weights import write_query_weights
    from echo_index.errors import IndexMismatch
    from echo_index.indexer.building.begin_build import valid_context
    from echo_index.indexer.building.build_files import build_index
    from echo_index.indexer.building.built_with import read_built_with

    if watch and json:
        raise typer.BadParameter("--json prints the report of one build; leave out --watch.")
    if watch_polling and not watch:
        raise typer.BadParameter("--watch-polling says how to watch; add --watch.")
    chosen_engine = choose_engine(engine, parts=parts, device=device, notice=notice)
    chosen_sources = _choose_sources(sources, index, null=null, include=include, exclude=exclude, keep_gone=watch)
    if not chosen_sources:
        raise typer.BadParameter(f"the index in {index} has no known sources; name one.", param_hint="SOURCE")
    watched = _watched(chosen_sources) if watch else []
    before = read_built_with(index)
    chunking = choose_chunking(chunk_tokens, overlap_tokens, before=before)
    options = EncoderOptions(
        model, adapter, no_adapter, layer, pooling, document_prompt, query_prompt, precision, device
    )
    if profile is not None:
        options = with_profile(options, profile)
    with interruptible(notice, kept="What was embedded"):
        encoder = open_encoder(options, before=before, chunk_tokens=chunking.max_tokens, notice=notice, rebuild=rebuild)
        context = None if context is None else valid_context(context, encoder, chunking)
    if context is not None and not rebuild and (change := context_change(index, context)):
        notice(change)

    def run(
        built_sources: list[Source],
        *,
        rebuild: bool = False,
        context: str | None = None,
        index_kind: str | None = None,
        recall: float | None = None,
        store: str | None = None,
        store_only: bool | None = None,
    ) -> BuildReport:
        with interruptible(notice, kept="What was embedded"), WorkProgress(err) as progress:
            return build_index(
                built_sources,
                index,
                encoder=encoder,
                chunking=chunking,
                rebuild=rebuild,
                ocr=ocr,
                compare=compare,
                context=context,
                index_kind=index_kind,
                recall=recall,
                store=store,
                store_only=store_only,
                keep_gone=watch,
                engine=chosen_engine,
                progress=progress.show_stage,
                on_recognizing=progress.show_detail,
            )

    first = partial(
        run,
        chosen_sources,
        rebuild=rebuild,
        context=context,
        index_kind=index_kind,
        recall=recall,
        store=store,
        store_only=store_only,
    )
    if watch:
        from echo_index.app.cli.watch import watch_sources

        def again() -> BuildReport:
            nonlocal encoder, chunking
            try:
                return run(watched)
            except IndexMismatch:  # somebody has rebuilt the index with other settings
                if (built_with := read_built_with(index)) is None:
                    raise
                chunking = built_with.chunking
                encoder = encoder_from_index(None, device=device, notice=notice)(built_with.encoder)
                return run(watched)

        watch_sources(
            watched,
            index,
            first=lambda: output.print_report(out, first()),
            again=again,
            polling=watch_polling,
        )
        return
    report = first()
    if json:
        output.print_json(out, asdict(report))
    else:
        output.print_report(out, report)
    write_query_weights(encoder)  # so that not even the first search has to load torch
    if not report.documents and not report.left_out:
        raise typer.Exit(1)


def _watched(sources: list[Source]) -> list[Source]:
    """Return the sources that can be watched.

    Raises:
        SourceError: there is none.
    """
    from echo_index.app.services.freshness import watched_sources
    from echo_index.errors import SourceError

    if all(source.is_remote for source in sources):
        raise SourceError(
            f"{sources[0].name} cannot be watched: nobody tells of changes there.",
            remedy="Leave out --watch, and build again from time to time; what has not changed is not fetched.",
        )
    return watched_sources(sources, notice)


def _choose_sources(
    names: list[str], index: Path, *, null: bool, include: list[str], exclude: list[str], keep_gone: bool
) -> list[Source]:
    """Return the sources that are named, those of the list on standard input, or else those of earlier builds.

    With `keep_gone`, those of earlier builds need not exist.
    """
    from echo_index.app.services.build_sources import FROM_INPUT, listed_sources, read_path_list, remembered_sources
    from echo_index.indexer.sources.source import Source

    if null and FROM_INPUT not in names:
        raise typer.BadParameter("--null says how the paths on standard input are separated; name - as the source.")
    if not names:
        return remembered_sources(index, include=include, exclude=exclude, keep_gone=keep_gone, notice=notice)
    chosen = [Source.parse(name, include=include, exclude=exclude) for name in names if name != FROM_INPUT]
    if FROM_INPUT in names:
        paths = read_path_list(sys.stdin.buffer, null=null)
        chosen += listed_sources(paths, index, include=include, exclude=exclude, notice=notice)
    return chosen
