"""Join the words that a line end of a PDF divides, and keep the hyphens that a word has by itself."""

from __future__ import annotations

import re
from collections.abc import Sequence

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
    words = {word for page in pages for word in _WORD.findall(page)}
    words.update([word.lower() for word in words])
    return [_DIVIDED.sub(lambda match: _joined(match, words), page) for page in pages]


def _joined(match: re.Match[str], words: set[str]) -> str:
    before, after = match["before"], match["after"]
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
