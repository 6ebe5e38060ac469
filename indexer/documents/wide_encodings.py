"""Recognize UTF-16 and UTF-32, with and without a byte order mark."""

from __future__ import annotations

import codecs
import unicodedata
from collections import Counter

# UTF-32 comes first: its little-endian mark begins with the one of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNMARKED = (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2))

_SAMPLE_BYTES = 8192
_FEW_CHARACTERS = 16
_TEXT_CONTROLS = frozenset("\b\t\n\v\f\r\x1b")
_ASCII = _TEXT_CONTROLS | {chr(code) for code in range(0x20, 0x7F)}
_ASCII_BYTES = "".join(_ASCII).encode("ascii")
_EAST_ASIAN_MARKS = frozenset("\u3000、。「」，．：；？！（）")
_NO_CHARACTERS = frozenset(("Cn", "Co", "Cs"))  # unassigned, private, half of a pair
# Japanese mixes three scripts.
_SAME_SCRIPT = {"HIRAGANA": "CJK", "KATAKANA": "CJK", "KATAKANA-HIRAGANA": "CJK", "IDEOGRAPHIC": "CJK"}


def marked_encoding(content: bytes) -> str | None:
    """Return the encoding that a byte order mark of UTF-16 or UTF-32 names, or None."""
    return next((encoding for mark, encoding in _MARKS if content.startswith(mark)), None)


def unmarked_encoding(content: bytes) -> str | None:
    """Return UTF-16 or UTF-32 with its byte order if content without a mark reads as text in it, or None.

    Text has a space, a line end or another ASCII character somewhere, which has a NUL byte on one side. Read with the
    wrong byte order or width, it has none, or it has control characters and letters of many scripts.
    """
    sample = content[:_SAMPLE_BYTES]
    if b"\0" not in sample:
        return None
    most, best = max((_ascii_characters(sample, encoding, width), encoding) for encoding, width in _UNMARKED)
    return best if most else None


def _ascii_characters(sample: bytes, encoding: str, width: int) -> int:
    """Return how many ASCII characters a sample has in an encoding; 0 if it does not read as text."""
    rest = len(sample) % width
    text = sample[: len(sample) - rest].decode(encoding, "replace")
    count = sum(character in _ASCII for character in text)
    if len(text) < _FEW_CHARACTERS and (rest or 2 * count < len(text)):
        return 0
    if count < len(text) and not sample.translate(None, b"\0" + _ASCII_BYTES):
        return 0  # nothing but ASCII and NUL bytes, yet not one NUL for each character: the NULs separate ASCII texts
    return count if _reads_as_text(text) else 0


def _reads_as_text(text: str) -> bool:
    wrong = between_words = 0
    scripts: Counter[str] = Counter()
    for character in text:
        category = unicodedata.category(character)
        if category == "Cc" and character not in _TEXT_CONTROLS:
            return False
        if category in _NO_CHARACTERS or character == "\N{REPLACEMENT CHARACTER}":
            wrong += 1
        elif category.startswith("L"):
            scripts[_script(character)] += 1
        elif character in _ASCII or character in _EAST_ASIAN_MARKS:
            between_words += 1
    in_two_scripts = sum(count for _, count in scripts.most_common(2))
    mixed = 10 * in_two_scripts < 9 * sum(scripts.values())
    return not mixed and wrong <= 1 + len(text) // 200 and 50 * between_words >= len(text) - scripts["LATIN"]


def _script(letter: str) -> str:
    word = unicodedata.name(letter, "").partition(" ")[0]
    return _SAME_SCRIPT.get(word, word)
