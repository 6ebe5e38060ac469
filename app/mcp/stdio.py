"""Serve MCP on standard input and output until the client closes them; nothing else is ever printed there."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
from threading import Timer
from typing import TYPE_CHECKING, Any, NoReturn

import anyio
from mcp.server.stdio import stdio_server

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server
    from typing_extensions import Buffer

_GRACE_SECONDS = 0.5  # after the end of the input, for what is being written
_INTERRUPTED = 130


def serve_stdio(server: Server[Any, Any]) -> NoReturn:
    """Serve one client, then end the process, whatever its threads are doing."""
    signal.signal(signal.SIGINT, lambda number, frame: _end_process(_INTERRUPTED))
    anyio.run(_serve, server, *_take_streams())
    _end_process()


def _end_process(code: int = 0) -> NoReturn:
    """End at once: threads that write an answer or load a model would hold the process up for minutes.

    No index is harmed, as none is written here, and files in the cache are put in place when they are complete.
    """
    sys.stderr.flush()
    os._exit(code)


class _Input(io.FileIO):
    """The bytes that the client sends. When it closes them or dies, the process ends soon after."""

    def readinto(self, buffer: Buffer, /) -> int | None:
        """Read bytes; none is the end."""
        count = super().readinto(buffer)
        if not count:
            # What was answered is still written; but a client that no longer reads must not hold this up.
            timer = Timer(_GRACE_SECONDS, _end_process)
            timer.daemon = True
            timer.start()
        return count


class _Output(io.FileIO):
    """The bytes that the client receives. If it has stopped to read them, the process ends."""

    def write(self, data: Buffer, /) -> int:
        """Write bytes."""
        try:
            return super().write(data)
        except BrokenPipeError:
            _end_process()


async def _serve(server: Server[Any, Any], incoming: io.TextIOWrapper, outgoing: io.TextIOWrapper) -> None:
    async with stdio_server(anyio.wrap_file(incoming), anyio.wrap_file(outgoing)) as (messages, replies):
        await server.run(messages, replies, server.create_initialization_options())


def _take_streams() -> tuple[io.TextIOWrapper, io.TextIOWrapper]:
    """Return the streams of the protocol; from now on, what prints writes to standard error, and reads nothing.

    This is done with the files of the process, as libraries in C print, too, and child processes inherit them.
    """
    sys.stdout.flush()
    incoming, outgoing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    logging.getLogger().addHandler(logging.NullHandler())  # else the SDK logs messages, with what users ask
    return (
        io.TextIOWrapper(io.BufferedReader(_Input(incoming)), encoding="utf-8", errors="replace"),
        io.TextIOWrapper(io.BufferedWriter(_Output(outgoing, "wb")), encoding="utf-8"),
    )
