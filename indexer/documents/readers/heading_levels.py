"""Choose which levels of headings are worth having: a passage ends where a section does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

_MANY_HEADINGS = 20  # from then on, sections must have a mean length


def last_useful_level(levels: Sequence[int], length: int, *, most: int, section: int) -> int:
    """Return the level down to which headings are at most `most` and sections have the mean length `section`.

    `levels` are those of all headings, `length` is that of the text. A few headings are always fine. The answer is 0 if
    even the outermost ones are too many.
    """
    counts = Counter(levels)
    total = len(levels)
    for level in sorted(counts, reverse=True):
        if total <= _MANY_HEADINGS or (total <= most and total * section <= length):
            return level
        total -= counts[level]
    return 0
