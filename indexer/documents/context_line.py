"""Check the context of an index: a line that says what its documents are about, embedded with each passage."""

from __future__ import annotations

import unicodedata

from echo_index.errors import TextError

MAX_CONTEXT = 200
"""Characters of a context."""
_REFUSED = {"Cc", "Zl", "Zp", "Cs"}  # control characters, ends of lines and paragraphs, halves of characters
_SHOWN = 40  # characters of a wrong context in an error


def parse_context(text: str) -> str:
    """Return a context as it is stored: without white space around it; '' for none.

    Raises:
        TextError: it has several lines, a control character, or more than MAX_CONTEXT characters.
    """
    context = text.strip()
    refused = next((character for character in context if unicodedata.category(character) in _REFUSED), None)
    if refused is not None:
        raise TextError(
            f"The context {shown_context(context)} has the character U+{ord(refused):04X}.",
            remedy="Write it as one line, without control characters.",
        )
    if len(context) > MAX_CONTEXT:
        raise TextError(
            f"The context {shown_context(context)} has {len(context)} characters; at most {MAX_CONTEXT} are embedded.",
            remedy="Shorten it.",
        )
    return context


def shown_context(context: str) -> str:
    """Return a context, or its beginning, as it stands in errors."""
    return repr(context if len(context) <= _SHOWN else f"{context[:_SHOWN]}…")
