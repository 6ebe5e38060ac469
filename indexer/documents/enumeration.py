"""Enumerate page numbers and names in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_MAX_RANGES = 8


def page_numbers(numbers: Sequence[int]) -> str:
    """Return ascending page numbers in words: "page 7", "pages 2 to 4, 7 and 9 to 12"."""
    ranges = list(_ranges(numbers))
    names = [f"{first} to {last}" if last > first else f"{first}" for first, last in ranges[:_MAX_RANGES]]
    others = sum(last - first + 1 for first, last in ranges[_MAX_RANGES:])
    return f"page{'s' if len(numbers) > 1 else ''} {enumerated(names, others)}"


def enumerated(names: Sequence[str], others: int) -> str:
    """Return names in words, and how many others there are: "a, b and c", "a, b and 3 others"."""
    if others:
        return f"{', '.join(names)} and {others} other{'s' if others > 1 else ''}"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _ranges(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield first and last of the numbers that follow each other."""
    first: int | None = None
    for index, number in enumerate(numbers):
        first = number if first is None else first
        if index + 1 == len(numbers) or numbers[index + 1] != number + 1:
            yield first, number
            first = None
