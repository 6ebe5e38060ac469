"""Which words of a text say something. Knows nothing of passages, answers or languages other than English."""

from __future__ import annotations

import re

from echo_index.indexer.text.language_detection import stop_words

_WORD = re.compile(r"\w+")
FUNCTION_WORDS = stop_words("english")
"""English words that say little by themselves."""


def stems(text: str) -> set[str]:
    """Return what is left of a text's words without their endings and without those that say little."""
    words = set(_WORD.findall(text.lower())) - FUNCTION_WORDS
    return {word[:6] for word in words if len(word) > 2 or word.isdigit()}
