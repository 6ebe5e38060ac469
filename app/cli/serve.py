"""The web page."""

from __future__ import annotations

from typing import Annotated

import typer

from echo_index.app.cli.options import IndexDir, ModelDevice, ModelName, SearchDevice, notice
from echo_index.app.defaults import DEFAULTS


def serve(
    index: IndexDir = DEFAULTS.index_dir,
    host: Annotated[
        str, typer.Option(help="The address to listen at; 0.0.0.0 lets other machines in.")
    ] = DEFAULTS.host,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = DEFAULTS.port,
    auth: Annotated[
        str | None,
        typer.Option(help="Ask for a name and password: a file with NAME:PASSWORD lines, or env (ECHO_INDEX_AUTH)."),
    ] = None,
    llm: Annotated[
        list[str], typer.Option(help="Another model that may write the answers, as for ask. Repeatable.")
    ] = [],  # noqa: B006
    mcp: Annotated[
        bool, typer.Option("--mcp", help="Let assistants search: an MCP server at /gradio_api/mcp/.")
    ] = False,
    read_only: Annotated[bool, typer.Option("--read-only", help="Nobody adds or removes documents.")] = False,
    upload_megabytes: Annotated[
        int, typer.Option(min=1, help="The largest file that may be uploaded.")
    ] = DEFAULTS.upload_megabytes,
    device: ModelDevice = "auto",
    index_device: SearchDevice = "auto",
    model: ModelName = None,
) -> None:
    """Open the web page: search, ask, compare, explore, and manage the documents."""
    from echo_index.app.services.credentials import read_authenticator
    from echo_index.app.services.index_service import ServiceOptions
    from echo_index.app.web.server import ServerOptions
    from echo_index.app.web.server import serve as listen

    listen(
        ServiceOptions(index, model=model, device=device, index_device=index_device, llms=tuple(llm)),
        ServerOptions(
            host=host,
            port=port,
            authenticator=None if auth is None else read_authenticator(auth),
            mcp=mcp,
            read_only=read_only,
            upload_megabytes=upload_megabytes,
        ),
        notice=notice,
    )
