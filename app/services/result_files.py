"""Write files of results."""

from __future__ import annotations

from pathlib import Path

from echo_index.errors import EchoIndexError


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8.

    Raises:
        EchoIndexError: the file cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EchoIndexError(f"{path} cannot be written: {error.strerror}.") from None
