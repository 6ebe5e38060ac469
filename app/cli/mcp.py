"""The command `mcp`."""

from __future__ import annotations

from typing import Annotated

import typer

from echo_index.app.cli.options import IndexDirs, ModelDevice, ModelName, SearchDevice, notice
from echo_index.app.defaults import DEFAULTS


def mcp(
    index: IndexDirs = [DEFAULTS.index_dir],  # noqa: B006
    writer: Annotated[
        str | None,
        typer.Option(help="Let another model on this machine write the answers, as for ask.", metavar="NAME"),
    ] = None,
    no_adapter: Annotated[
        bool, typer.Option("--no-adapter", help="Let models write without their adapters for answers.")
    ] = False,
    llm: Annotated[
        str | None,
        typer.Option(help="Let a model elsewhere write the answers, as for ask.", metavar="NAME"),
    ] = None,
    device: ModelDevice = "auto",
    index_device: SearchDevice = "auto",
    model: ModelName = None,
) -> None:
    """Let an AI assistant on this machine search and read: an MCP server on standard input and output."""
    import gc
    import sys
    from dataclasses import replace

    from echo_index.app.services.mcp_package import require_mcp

    if writer is not None and llm is not None:
        raise typer.BadParameter("--writer and --llm cannot be used together: one model writes the answers.")
    require_mcp()
    if sys.stdin.isatty():
        notice("This waits for an AI assistant, which starts it itself. Ctrl-C ends it.")
    gc.disable()  # while the SDK defines its thousands of objects, none of which is garbage
    from echo_index.app.mcp.server import make_server
    from echo_index.app.mcp.stdio import serve_stdio
    from echo_index.app.services.collections import find_collections
    from echo_index.app.services.document_tools import DocumentTools
    from echo_index.app.services.index_service import IndexService, ServiceOptions
    from echo_index.app.services.query_vector import QueryVectors
    from echo_index.app.services.writers import installed_writers

    gc.enable()
    # Errors name the folders, and the assistant started this in some folder.
    first, *others = (replace(each, index=each.index.absolute()) for each in find_collections(index))
    options = ServiceOptions(
        first.index,
        name=first.name,
        about=first.about,
        others=tuple(others),
        model=model,
        device=device,
        index_device=index_device,
        lazy_writers=(writer,) if writer is not None else installed_writers(),
        with_answer_adapters=not no_adapter,
        llms=() if llm is None else (llm,),
    )
    service = IndexService(options, notice=notice)
    vectors = QueryVectors(model=model, device=device, notice=notice)
    serve_stdio(make_server(DocumentTools(service, query_vectors=vectors, writer=writer or llm)))
