"""API endpoints of the page, which are also the tools of its MCP server: the tools for assistants, over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import gradio as gr
from gradio.events import api
from pydantic import BaseModel

from echo_index.app.services.document_tools import DocumentTools
from echo_index.app.services.index_service import IndexService
from echo_index.errors import EchoIndexError


def add_endpoints(service: IndexService) -> None:
    """Add an endpoint for each tool to the current gr.Blocks; Gradio publishes their docstrings."""
    tools = DocumentTools(service)
    for tool in (tools.search, tools.similar, tools.ask, tools.list_documents, tools.read, tools.status):
        api(_endpoint(tool), api_name=tool.__name__, concurrency_limit=8)


def _endpoint(tool: Callable[..., BaseModel]) -> Callable[..., dict[str, Any]]:
    """Return a tool that returns JSON; an EchoIndexError becomes its message, without a traceback in the log."""

    @wraps(tool)
    def endpoint(*arguments: Any) -> dict[str, Any]:
        try:
            return tool(*arguments).model_dump(mode="json")
        except EchoIndexError as error:
            raise gr.Error(str(error), print_exception=False) from None

    endpoint.__annotations__ = {**tool.__annotations__, "return": dict[str, Any]}
    return endpoint
