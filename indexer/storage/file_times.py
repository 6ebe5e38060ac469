"""Tell the times of files from those of documents that have none."""

from __future__ import annotations

SECOND_NS = 1_000_000_000


def has_time(modified_ns: int) -> bool:
    """Return whether a modification time (nanoseconds) is one.

    A document that is no file has 0. A file at an address that tells only its version has it in the second after that.
    """
    return not 0 <= modified_ns < SECOND_NS
