"""Which words of a text say something. Knows nothing of passages, answers or languages other than English."""

from __future__ import annotations

import re

_WORD = re.compile(r"\w+")
FUNCTION_WORDS = frozenset(
    "a an and any are as at be been but by can could did do does for from had has have he her his how if in into is it "
    "its may not of on one or our she should so some such than that the their them then there these they this those to "
    "was we were what when where which who will with would you your".split()
)
"""English words that say little by themselves."""


def stems(text: str) -> set[str]:
    """Return what is left of a text's words without their endings and without those that say little."""
    words = set(_WORD.findall(text.lower())) - FUNCTION_WORDS
    return {word[:6] for word in words if len(word) > 2 or word.isdigit()}
