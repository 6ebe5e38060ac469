"""Turn the errors of libraries about a broken file into one plain sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from echo_index.errors import DocumentError

_ADVICE = re.compile(r", (?:line \d|try |use |see ).*| \(<string>.*")  # the XML parser's hints for its caller


@contextmanager
def reported_as_unreadable(format: str) -> Iterator[None]:
    """Raise what goes wrong within as an error that says that the file is no readable `format` ("DOCX").

    Raises:
        DocumentError: anything but a lack of memory went wrong.
        MemoryError: there is too little memory.
    """
    with reported(f"It is not a readable {format}"):
        yield


@contextmanager
def reported(what: str) -> Iterator[None]:
    """Raise what goes wrong within as an error that begins with `what`.

    Raises:
        DocumentError: anything but a lack of memory went wrong.
        MemoryError: there is too little memory.
    """
    try:
        yield
    except (DocumentError, MemoryError):
        raise
    except RecursionError as error:
        raise DocumentError(f"{what}: its elements are nested too deeply.") from error
    except Exception as error:  # the ZIP and XML libraries raise many kinds of errors
        raise DocumentError(f"{what}: {_short_reason(error)}.") from error


def _short_reason(error: Exception) -> str:
    message = _ADVICE.sub("", " ".join(str(error).split())).rstrip(".")[:100]
    return message[:1].lower() + message[1:] if message else "its structure is broken"
