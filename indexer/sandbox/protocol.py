"""How a process and its worker speak: JSON, with its length before it. Knows nothing of what is said."""

from __future__ import annotations

import json
from typing import Any, BinaryIO

Message = dict[str, Any]

OUT_OF_MEMORY = 77
"""The exit code of a worker that has reached its limit of memory, and has none left to say so."""

_LENGTH_BYTES = 8
_MOST_BYTES = 2**28  # beyond the longest text and all of its headings


def send(channel: BinaryIO, message: Message) -> None:
    """Write a message. Raises OSError when nobody reads any more."""
    content = json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass")  # paths may be no valid text
    channel.write(len(content).to_bytes(_LENGTH_BYTES, "big") + content)
    channel.flush()


def receive(channel: BinaryIO) -> Message | None:
    """Wait for a message; None when the channel ends, be it in the middle of one, or says what is no message."""
    head = channel.read(_LENGTH_BYTES)
    length = int.from_bytes(head, "big")
    if len(head) < _LENGTH_BYTES or length > _MOST_BYTES:
        return None
    content = channel.read(length)
    try:
        return dict(json.loads(content))
    except (ValueError, RecursionError):
        return None
