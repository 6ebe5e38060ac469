"""Say in words what of a PDF is not read."""

from __future__ import annotations

from collections.abc import Sequence

from echo_index.indexer.documents.enumeration import enumerated

ONLY_PICTURES = "It holds only pictures of text: its pages are probably scanned images."
"""Why a file of scanned pages cannot be read without OCR."""

UNREADABLE_FONTS = "It holds no text that can be read: its fonts do not say which characters they draw."
"""Why another file cannot be read without OCR."""

NO_TEXT_ON = "no text on"
"""Begins the phrase that names pages of pictures."""

_MAX_NAMES = 5


def attached_files(names: Sequence[str]) -> str:
    """Return how many files are attached, with their names: "1 attached file: data.csv"."""
    known = [name for name in names if name]
    shown = known[:_MAX_NAMES]
    heading = f"{len(names)} attached file{'s' if len(names) > 1 else ''}"
    return f"{heading}: {enumerated(shown, len(names) - len(shown))}" if shown else heading
