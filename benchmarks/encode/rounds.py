"""Time all rows in interleaved rounds, so that a temporary slowdown of the machine affects all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from benchmarks.encode.processes import RowFailed

Seconds = dict[str, dict[str, list[float]]]
"""By row and corpus: the seconds of each round."""
Reasons = dict[str, str]
"""By row: why it failed."""


class Runnable(Protocol):
    """A row that can be timed on a corpus."""

    def run(self, corpus: str, *, save: Path | None = None) -> float:
        """Return seconds; raise RowFailed."""


def time_rows(
    rows: Mapping[str, Runnable],
    corpora: Sequence[str],
    *,
    rounds: int,
    folder: Path,
    say: Callable[[str], None],
) -> tuple[Seconds, Reasons]:
    """Time all rows on all corpora; the vectors of the first round are saved in `folder` as ROW.CORPUS.npy.

    Every second round runs in reverse order. A row that fails once has no figures; the others continue.
    """
    seconds: Seconds = {row: {corpus: [] for corpus in corpora} for row in rows}
    failed: Reasons = {}
    for number in range(rounds):
        for corpus in corpora:
            for row in list(rows) if number % 2 == 0 else reversed(list(rows)):
                if row in failed:
                    continue
                save = vectors_file(folder, row, corpus) if number == 0 else None
                try:
                    seconds[row][corpus].append(rows[row].run(corpus, save=save))
                except RowFailed as reason:
                    failed[row] = str(reason)
                    del seconds[row]
        say(f"round {number + 1} of {rounds} is done")
    return seconds, failed


def embed_once(
    rows: Mapping[str, Runnable], corpus: str, *, folder: Path, say: Callable[[str], None]
) -> tuple[list[str], Reasons]:
    """Let each row embed a corpus, untimed; return the rows with vectors in `folder`, and why others failed."""
    embedded: list[str] = []
    failed: Reasons = {}
    for row, process in rows.items():
        try:
            process.run(corpus, save=vectors_file(folder, row, corpus))
            embedded.append(row)
        except RowFailed as reason:
            failed[row] = str(reason)
        say(f"{row} has embedded the corpus {corpus}")
    return embedded, failed


def vectors_file(folder: Path, row: str, corpus: str) -> Path:
    """Return the file of the vectors of a row and a corpus."""
    return folder / f"{row}.{corpus}.npy"
