"""Find the numbers in a text, whether in digits or in words."""

from __future__ import annotations

import re
from functools import cache

from echo_index.indexer.text.letters import fold_text

_CODES = {  # languages of the index, as num2words names them
    **{"arabic": "ar", "catalan": "ca", "czech": "cs", "danish": "da", "dutch": "nl", "english": "en", "finnish": "fi"},
    **{"french": "fr", "german": "de", "hungarian": "hu", "indonesian": "id", "italian": "it", "norwegian": "no"},
    **{"polish": "pl", "portuguese": "pt", "romanian": "ro", "russian": "ru", "spanish": "es", "swedish": "sv"},
    **{"turkish": "tr"},
}
_SPELLED = (*range(2, 101), 1_000, 1_000_000, 1_000_000_000)  # "one" is an article in many languages
_WORD = re.compile(r"\w+(?:-\w+)*")
_GROUPED = re.compile(r"(?<![\w.,])\d{1,3}(?:([,.'’\u00a0\u202f])\d{3})(?:\1\d{3})*(?!\w|[.,]\d)")
_SEPARATOR = re.compile(r"\D")


def numbers_in(text: str, language: str) -> dict[str, str]:
    """Return the numbers in a text, from the word, in lower case, to its digits, without separators of thousands.

    Words are read in a language, as Snowball names it, and in English. A number of several words is several numbers.
    """
    joined = _GROUPED.sub(lambda match: _SEPARATOR.sub("", match[0]), text)
    spelled = _number_words(language)
    found: dict[str, str] = {}
    for word in _WORD.findall(fold_text(joined)):
        parts = [word] if word in spelled else word.split("-")
        found |= {part: spelled.get(part, part) for part in parts if part in spelled or part.isdecimal()}
    return found


@cache
def _number_words(language: str) -> dict[str, str]:
    """Return the digits of single words of a language, if its words are known, and of English."""
    from num2words import num2words

    words: dict[str, str] = {}
    for code in dict.fromkeys((_CODES.get(language, "en"), "en")):
        for number in _SPELLED:
            *others, word = fold_text(num2words(number, lang=code)).split()
            # "one hundred" is the last word; "twenty one", in two words, is read as two numbers.
            if not others or number >= 100:
                words.setdefault(word, str(number))
    return words
