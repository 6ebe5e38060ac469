"""Messages between a process and its worker: JSON, preceded by its length in bytes."""

from __future__ import annotations

import json
from typing import Any, BinaryIO

Message = dict[str, Any]

OUT_OF_MEMORY = 77
"""The exit code of a worker that ran out of memory: it has none left to send a reply."""

_LENGTH_BYTES = 8
_MAX_BYTES = 2**28  # more than the longest text with all of its headings


def send(channel: BinaryIO, message: Message) -> None:
    """Write a message.

    Raises:
        OSError: the other end of the channel is closed.
    """
    content = json.dumps(message, ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )  # paths may contain lone surrogates
    channel.write(len(content).to_bytes(_LENGTH_BYTES, "big") + content)
    channel.flush()


def receive(channel: BinaryIO) -> Message | None:
    """Wait for a message; None if the channel ends or what arrives is not a message."""
    head = channel.read(_LENGTH_BYTES)
    length = int.from_bytes(head, "big")
    if len(head) < _LENGTH_BYTES or length > _MAX_BYTES:
        return None
    content = channel.read(length)
    try:
        return dict(json.loads(content))
    except (ValueError, RecursionError):
        return None
