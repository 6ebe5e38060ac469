"""Name the files that are attached to a PDF."""

from __future__ import annotations

from collections.abc import Sequence

from echo_index.indexer.documents.enumeration import enumerated

_MAX_NAMES = 5


def attached_files(names: Sequence[str]) -> str:
    """Return how many files are attached, with their names: "1 attached file: data.csv"."""
    known = [name for name in names if name]
    shown = known[:_MAX_NAMES]
    heading = f"{len(names)} attached file{'s' if len(names) > 1 else ''}"
    return f"{heading}: {enumerated(shown, len(names) - len(shown))}" if shown else heading
