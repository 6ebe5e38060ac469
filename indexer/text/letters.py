"""Bring letters to the form in which words are compared, whatever keyboard they were typed on.

Accents, and marks like them, are dropped by Unicode's decompositions. Letters that Unicode does not decompose, such as
ł, take the basic letter that their Unicode name gives, or one from a short table.
"""

from __future__ import annotations

import re
import unicodedata

VOWEL_SIGNS = (
    "\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0900-\u0963\u0971-\u0dff\u1ab0-\u1aff\u1dc0-\u1dff\u200c\u200d"
)
"""Marks that belong to a word though they are no letters, for a character class: accents, vowel signs, joiners."""

# Without the breve of й and ў, which are letters of their own: мой is not мои.
_ACCENTS = re.compile(
    "(?<![\u0438\u0418\u0443\u0423])\u0306|[\u0300-\u0305\u0307-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
    "\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u093c"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u200c\u200d]"
)
_EARLIER_ACCENTS = re.compile("[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u200c\u200d]")
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")
_NAME = re.compile(r"LATIN (?:SMALL|CAPITAL) LETTER (?:DOTLESS |OPEN )?([A-Z])(?: WITH .*)?")
_NAMED_LETTERS = (*range(0x00C0, 0x02B0), *range(0x1D80, 0x1D9B), *range(0x2C60, 0x2C80))
_LETTERS = {
    **{"ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "þ": "th", "Þ": "TH", "ð": "d", "Ð": "D"},
    **{"ŋ": "n", "Ŋ": "N", "ĸ": "k", "ə": "e", "Ə": "E"},
    # Arabic, as Arabic, Persian and Urdu keyboards write it: alef wasla, alef maksura, yeh, kaf, heh and teh marbuta.
    **{"ٱ": "ا", "ى": "ي", "ی": "ي", "ک": "ك", "ڪ": "ك", "ة": "ه", "ہ": "ه", "ھ": "ه", "ە": "ه", "ۃ": "ه"},
    "ँ": "ं",  # Devanagari candrabindu, often written as anusvara
}


def _letters_by_name() -> dict[str, str]:
    """Return the basic letter of each Latin letter whose Unicode name has one: o for "o with stroke"."""
    names = ((chr(code), unicodedata.name(chr(code), "")) for code in _NAMED_LETTERS)
    found = ((letter, name, _NAME.fullmatch(name)) for letter, name in names)
    return {letter: match[1].lower() if "SMALL" in name else match[1] for letter, name, match in found if match}


_BASIC_LETTERS = str.maketrans({**_letters_by_name(), **_LETTERS})


def fold_text(text: str) -> str:
    """Return a text in lower case and in basic letters, the form in which words are compared."""
    return text.lower() if text.isascii() else basic_letters(text).casefold()


def basic_letters(text: str) -> str:
    """Return a text without accents, in basic letters and digits, its case unchanged: `Łódź` becomes `Lodz`."""
    if text.isascii():
        return text
    decomposed = _ACCENTS.sub("", unicodedata.normalize("NFKD", text)).translate(_BASIC_LETTERS)
    return unicodedata.normalize("NFKC", _OTHER_DIGIT.sub(_western_digit, decomposed))


def fold_accents(text: str) -> str:
    """Return a text as catalogs hold it that were written before letters without a decomposition were folded, too."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFKC", _EARLIER_ACCENTS.sub("", decomposed))


def _western_digit(digit: re.Match[str]) -> str:
    return str(unicodedata.decimal(digit[0]))
