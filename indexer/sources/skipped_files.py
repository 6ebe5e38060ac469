"""Count the files that a scan passes over although nobody excluded them, and say so in sentences."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

SkipReason = Literal["unsupported", "empty", "link"]
"""No reader takes the file, it is empty, or it is a link to a file or folder outside its source."""

_SUFFIX = re.compile(r"\.[\w+-]{1,15}")  # others are part of a name with a dot in it
_MAX_LISTED = 12  # kinds of files in a sentence


@dataclass(frozen=True, slots=True)
class SkippedFiles:
    """How many files were passed over: unsupported ones by suffix ('' for none), empty ones, and links to outside."""

    unsupported: dict[str, int] = field(default_factory=dict)
    empty: int = 0
    links: int = 0

    @classmethod
    def count(cls, skipped: Iterable[tuple[Path, SkipReason]]) -> SkippedFiles:
        """Count files by their reasons; the most frequent suffix comes first."""
        reasons: Counter[SkipReason] = Counter()
        suffixes: Counter[str] = Counter()
        for path, reason in skipped:
            reasons[reason] += 1
            if reason == "unsupported":
                suffixes[_suffix(path)] += 1
        return cls(_ordered(suffixes), reasons["empty"], reasons["link"])

    @classmethod
    def parse(cls, fields: dict[str, Any]) -> SkippedFiles:
        """Return what `dataclasses.asdict` made of it."""
        return cls(_ordered(Counter(fields["unsupported"])), fields["empty"], fields["links"])

    @classmethod
    def total(cls, several: Iterable[SkippedFiles]) -> SkippedFiles:
        """Return the sums."""
        suffixes: Counter[str] = Counter()
        empty = links = 0
        for skipped in several:
            suffixes.update(skipped.unsupported)
            empty, links = empty + skipped.empty, links + skipped.links
        return cls(_ordered(suffixes), empty, links)

    def sentences(self) -> list[str]:
        """Return a sentence for each reason, such as "1 file was left out, as it is empty."."""
        lines = []
        if count := sum(self.unsupported.values()):
            it = "it" if count == 1 else "them"
            lines.append(f"{_were_left_out(count, 'file')}, as no reader takes {it}: {_kinds(self.unsupported)}.")
        if self.empty:
            lines.append(
                f"{_were_left_out(self.empty, 'file')}, as {'it is' if self.empty == 1 else 'they are'} empty."
            )
        if self.links:
            it = "it leads out of its folder" if self.links == 1 else "they lead out of their folder"
            lines.append(f"{_were_left_out(self.links, 'link')}, as {it}.")
        return lines


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    return suffix if _SUFFIX.fullmatch(suffix) else ""


def _ordered(suffixes: Counter[str]) -> dict[str, int]:
    return dict(sorted(suffixes.items(), key=lambda item: (-item[1], item[0])))


def _kinds(suffixes: dict[str, int]) -> str:
    kinds = [f"{count:,} {suffix or 'without a suffix'}" for suffix, count in suffixes.items()]
    more = sum([*suffixes.values()][_MAX_LISTED:])
    return ", ".join(kinds[:_MAX_LISTED]) + (f" and {more:,} of other kinds" if more else "")


def _were_left_out(count: int, noun: str) -> str:
    return f"{count:,} {noun} was left out" if count == 1 else f"{count:,} {noun}s were left out"
