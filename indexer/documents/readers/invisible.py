"""Take out of a text the characters that nobody sees but that cut words apart."""

from __future__ import annotations

import re

# The joiners U+200C and U+200D stay: they change what is seen in Persian, in Indic scripts and in emoji. A zero-width
# space stays after a letter of Thai, Lao, Tibetan, Myanmar or Khmer, where it stands between words.
_INVISIBLE = re.compile(
    "[\u00ad\u200e\u200f\u2060-\u2064\ufeff]+|(?<![\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u200b])\u200b+"
)
_FIXED_SPACES = str.maketrans("\u00a0\u2007\u202f", "   ")


def without_invisible(text: str) -> str:
    """Return `text` without soft hyphens and other characters without width, and with plain spaces for fixed ones."""
    if text.isascii():
        return text
    return _INVISIBLE.sub("", text).translate(_FIXED_SPACES)
