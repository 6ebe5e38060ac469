"""Guess the encoding of text from before Unicode, such as Windows-1252, KOI8-R or Shift-JIS.

The letters that the bytes spell tell the encodings apart: chardet knows which letters follow each other in which
language. On short texts several fit, and what no language writes decides: letters of two alphabets in one word, a
capital after a small letter, a symbol inside a word.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from itertools import pairwise

_CANDIDATES = (
    *("cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874"),
    *("iso8859-2", "iso8859-5", "iso8859-6", "iso8859-7", "iso8859-9", "iso8859-13", "iso8859-15", "iso8859-16"),
    *("koi8-r", "koi8-u", "mac-roman", "mac-cyrillic"),
    *("cp437", "cp737", "cp850", "cp852", "cp857", "cp865", "cp866"),
    *("cp932", "euc_jis_2004", "gb18030", "big5hkscs", "cp949", "johab"),
)
_COMMON = {"cp1252": 1.2, "cp1251": 1.1}
"""How much likelier an encoding is than others that fit as well, because so many more files have it."""
_SEVEN_BIT = ("iso2022_jp_2", "iso2022_jp_2004", "iso2022_jp_ext", "iso2022_kr", "hz")

_SAMPLE_BYTES = 8192
_CONTEXT = 60
_PIECES = 4
_PIECE_BYTES = 100
_JUDGED_CHARACTERS = 2000
_JUDGED_ENCODINGS = 8

_NON_ASCII = re.compile(rb"[\x80-\xff]+")
# White space as a byte is white space in all of these encodings, so a text can be cut there.
_WORDS = re.compile(rb"\S+\s*|\s+")
_CONTROLS = bytes({*range(0x20), 0x7F} - {*b"\t\n\r"})
_WORD = re.compile(r"[^\W_]*[^\x00-\x7f][^\s\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]*")
_ALPHABETS = frozenset(("LATIN", "GREEK", "CYRILLIC"))
_ORDINALS = frozenset("ªºµ")
_QUOTES = "“”„‘’‚«»‹›"
_TEXT_SYMBOLS = frozenset("°€£§©®¥™±№¢×")
_INSIDE_WORDS = frozenset("’·-–—\N{SOFT HYPHEN}")


def guess_legacy(content: bytes) -> str:
    """Return the name of the encoding that fits the non-ASCII bytes of `content` best; Windows-1252 if none does."""
    sample = _sample(content)
    confidences = _confidences(sample)
    best, best_score = "cp1252", 0.0
    for encoding in sorted(confidences, key=lambda name: -confidences[name])[:_JUDGED_ENCODINGS]:
        text = sample.decode(encoding, "replace")[:_JUDGED_CHARACTERS]
        score = confidences[encoding] * _share_of_proper_words(text) ** 2 * _COMMON.get(encoding, 1.0)
        if score > best_score:
            best, best_score = encoding, score
    return best


def seven_bit_encoding(content: bytes) -> str | None:
    """Return ISO-2022 or HZ if the ASCII bytes of `content` are East Asian text in it, or None."""
    if b"\x1b$" not in content and b"~{" not in content:
        return None
    from chardet import detect

    start = min(place for place in (content.find(b"\x1b$"), content.find(b"~{")) if place >= 0)
    sample = content[start : start + _SAMPLE_BYTES]
    guess = detect(sample, include_encodings=(*_SEVEN_BIT, "cp1252"), compat_names=False)["encoding"]
    return guess if guess in _SEVEN_BIT else None


def _sample(content: bytes) -> bytes:
    """Return the first non-ASCII bytes with what stands around them on their lines: the rest tells nothing."""
    parts: list[bytes] = []
    size = end = 0
    for match in _NON_ASCII.finditer(content):
        if match.end() <= end:
            continue
        nearest = max(end, match.start() - _CONTEXT)
        start = max(nearest, content.rfind(b"\n", nearest, match.start()) + 1)
        furthest = match.end() + _CONTEXT
        line_end = content.find(b"\n", match.end(), furthest)
        end = min(start + _SAMPLE_BYTES, furthest if line_end < 0 else line_end + 1)
        parts.append(content[start:end])
        size += len(parts[-1])
        if size >= _SAMPLE_BYTES:
            break
    return b"".join(parts).translate(None, _CONTROLS)


def _confidences(sample: bytes) -> dict[str, float]:
    """Return how well each encoding fits. In a text of some length a wrong byte spoils only a piece of it."""
    from chardet import detect_all

    confidences: defaultdict[str, float] = defaultdict(float)
    for piece in _pieces(sample):
        guesses = detect_all(piece, ignore_threshold=True, include_encodings=_CANDIDATES, compat_names=False)
        for guess in guesses:
            if guess["encoding"] in _CANDIDATES:
                confidences[guess["encoding"]] += guess["confidence"] * len(piece) / len(sample)
    return confidences


def _pieces(sample: bytes) -> list[bytes]:
    size = max(_PIECE_BYTES, len(sample) // _PIECES + 1)
    pieces = [b""]
    for word in _WORDS.findall(sample):
        if len(pieces[-1]) >= size:
            pieces.append(b"")
        pieces[-1] += word
    return pieces


def _share_of_proper_words(text: str) -> float:
    words = _WORD.findall(text)
    return max(0.05, sum(map(_is_proper, words)) / len(words)) if words else 1.0


def _is_proper(word: str) -> bool:
    """Return whether a word could be written so in some language."""
    scripts = {_script(letter) for letter in word if letter.isalpha() and letter not in _ORDINALS}
    european = bool(scripts & _ALPHABETS)
    if european and len(scripts) > 1:
        return False
    for character in word:
        category = unicodedata.category(character)
        symbol = category.startswith("S") and not character.isascii() and character not in _TEXT_SYMBOLS
        if symbol or category in ("Cc", "Cn", "Co"):
            return False
    core = word.strip(_QUOTES)
    if any(first.islower() and second.isupper() for first, second in pairwise(core)):
        return False
    inside = core[1:-1] if european else ""
    return all(character.isalnum() or character.isascii() or character in _INSIDE_WORDS for character in inside)


def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]
