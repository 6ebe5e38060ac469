"""Join the words that a line end of a page divides, and keep the hyphens that a word has by itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set

HYPHENATION = "\ufffe"
"""PDFium's mark for a hyphen at the end of a line, and for the line end."""

_MARK = re.compile(r"[\ufffe\x02](?:\r?\n)?")
_DIVIDED = re.compile(r"(?P<before>(?:\w|-)*)[\ufffe\x02](?:\r?\n)?(?P<after>(?:\w|-)*)")
_WORD = re.compile(r"\w+(?:-\w+)*")
_MAX_WORD = 100  # characters

# Words that nearly always keep their hyphen, but for the endings of other words: selfish, wellness.
_HYPHENATED_PREFIX = re.compile(r"well|self", re.IGNORECASE)
_ENDING = re.compile(
    r"ness(?:es)?|less(?:ness|ly)?|ish(?:ly|ness)?|ings?|ed|er|hood|head|bor[ne]|spring", re.IGNORECASE
)


def join_divided_words(pages: Sequence[str]) -> list[str]:
    """Return the pages without PDFium's marks for hyphens at line ends.

    A word is joined, unless the document has it with a hyphen elsewhere, its second part begins with a capital letter
    or a digit, or it begins with "well" or "self".
    """
    if not any(_MARK.search(page) for page in pages):
        return list(pages)
    words = known_words(pages)
    return [_DIVIDED.sub(lambda match: joined(match["before"], match["after"], words), page) for page in pages]


def known_words(texts: Iterable[str]) -> set[str]:
    """Return the words of texts as they are and in lower case, those with hyphens as one."""
    words = {word for text in texts for word in _WORD.findall(text)}
    words.update([word.lower() for word in words])
    return words


def joined(before: str, after: str, words: Set[str]) -> str:
    """Return a word that a line end divides as one, with its hyphen if it has it by itself."""
    if not before or not after or len(before) + len(after) > _MAX_WORD:
        return before + after
    is_capital = after[0].isupper() and (before[-1].islower() or after[1:2].islower())
    is_name = is_capital or before[-1].isdigit() or after[0].isdigit()
    joined, hyphenated = f"{before}{after}", f"{before}-{after}".lower()
    if (joined if is_name else joined.lower()) in words:
        return before + after
    is_compound = _HYPHENATED_PREFIX.fullmatch(before) and not _ENDING.fullmatch(after)
    keeps_hyphen = hyphenated in words or is_name or is_compound
    return f"{before}-{after}" if keeps_hyphen else before + after
