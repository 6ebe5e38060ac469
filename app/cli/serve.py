"""The command `serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from echo_index.app.cli.options import IndexDirs, ModelDevice, ModelName, SearchDevice, WatchPolling, notice
from echo_index.app.defaults import DEFAULTS


def serve(
    index: IndexDirs = [DEFAULTS.index_dir],  # noqa: B006
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 makes the page reachable from other machines.")
    ] = DEFAULTS.host,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 chooses a free one.")
    ] = DEFAULTS.port,
    auth: Annotated[
        str | None,
        typer.Option(
            help="Require a login: a file with NAME:PASSWORD lines, or env for the variable ECHO_INDEX_AUTH.",
            metavar="FILE|env",
        ),
    ] = None,
    writer: Annotated[
        list[str],
        typer.Option(
            help="Offer another model on this machine for the answers, as for ask. Repeatable.", metavar="NAME"
        ),
    ] = [],  # noqa: B006
    no_adapter: Annotated[
        bool, typer.Option("--no-adapter", help="Let models write without their adapters for answers.")
    ] = False,
    llm: Annotated[
        list[str], typer.Option(help="Offer a model elsewhere for the answers, as for ask. Repeatable.", metavar="NAME")
    ] = [],  # noqa: B006
    mcp: Annotated[
        bool, typer.Option("--mcp", help="Let AI assistants search: run an MCP server at /gradio_api/mcp/.")
    ] = False,
    api: Annotated[
        bool, typer.Option("--api", help="Let programs use the server: embeddings, answers, reranking and search.")
    ] = False,
    api_only: Annotated[
        bool, typer.Option("--api-only", help="Serve programs as --api does, without the page.")
    ] = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Do not let visitors add or remove documents.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Build in the background whenever files of the index change.")
    ] = False,
    watch_polling: WatchPolling = False,
    upload_megabytes: Annotated[
        int, typer.Option(min=1, help="Size limit of an uploaded file.")
    ] = DEFAULTS.upload_megabytes,
    device: ModelDevice = "auto",
    index_device: SearchDevice = "auto",
    model: ModelName = None,
) -> None:
    """Serve the web page: search, ask, compare, explore, and manage documents; and programs, with --api."""
    from dataclasses import replace

    from echo_index.app.services.collections import described, find_collections
    from echo_index.app.services.credentials import read_authenticator
    from echo_index.app.services.index_service import ServiceOptions
    from echo_index.app.services.writers import installed_writers
    from echo_index.app.web.server import ServerOptions, run_server
    from echo_index.indexer.stores.location import is_store

    if api_only and mcp:
        raise typer.BadParameter("--mcp is a part of the page; leave out --api-only, or take --api.")
    if watch_polling and not watch:
        raise typer.BadParameter("--watch-polling says how to watch; add --watch.")
    if stores := [place for place in index if is_store(place)]:
        if watch:
            raise typer.BadParameter(f"--watch builds, and {stores[0]} is built on another machine; leave it out.")
        read_only = True
    first, *others = (replace(each, about=described(each)) for each in find_collections(index))
    run_server(
        ServiceOptions(
            first.index,
            name=first.name,
            about=first.about,
            others=tuple(others),
            model=model,
            device=device,
            index_device=index_device,
            writers=tuple(writer),
            lazy_writers=tuple(name for name in installed_writers() if name not in writer),
            with_answer_adapters=not no_adapter,
            llms=tuple(llm),
        ),
        ServerOptions(
            host=host,
            port=port,
            authenticator=None if auth is None else read_authenticator(auth),
            mcp=mcp,
            api=api or api_only,
            page=not api_only,
            read_only=read_only,
            upload_megabytes=upload_megabytes,
            watch=watch,
            watch_polling=watch_polling,
        ),
        notice=notice,
    )
