"""Check that the package for the Model Context Protocol is installed, which is optional."""

from __future__ import annotations

from importlib.util import find_spec

from echo_index.errors import MissingPackage


def require_mcp() -> None:
    """Check that MCP servers can run.

    Raises:
        MissingPackage: the package mcp is not installed.
    """
    if find_spec("mcp") is None:
        raise MissingPackage(
            "The MCP server needs the package mcp.", remedy="Install it: pip install 'echo-index[mcp]'"
        )
