"""Acts on a disk that is really too small, or by a process that may not write large files.

Runs as a program: python -m faults.small_disk SCENARIO PLACE MOUNTED|limit KILOBYTES
"""

from __future__ import annotations

import errno
import json
import os
import resource
import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import count
from pathlib import Path

from .attempts import Laboratory, Outcome
from .scenarios import SCENARIOS

_KILOBYTE = 1024


def on_a_full_disk(laboratory: Laboratory, mounted: Path, kilobytes: int) -> Outcome:
    """Act where so much room is left; the room comes back afterwards."""
    filler = mounted / "filler"
    filler.unlink(missing_ok=True)
    folder = laboratory.copy()

    def fill() -> None:
        free = os.statvfs(mounted)
        _fill(filler, free.f_bavail * free.f_frsize - kilobytes * _KILOBYTE)

    names = f"{kilobytes} KB", "a full disk"
    return laboratory.outcome(folder, kilobytes, names, begin=fill, end=lambda: filler.unlink(missing_ok=True))


def with_a_limit(laboratory: Laboratory, kilobytes: int) -> Outcome:
    """Act in a process whose files may not grow beyond so much."""
    most = kilobytes * _KILOBYTE
    names = f"{kilobytes} KB", "a limit of the file size"
    return laboratory.outcome(
        laboratory.copy(), kilobytes, names, begin=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    )


def outcomes(scenario: str, place: Path, disk: str, step: int) -> Iterator[Outcome]:
    """Yield what came of ever more room, so many kilobytes more each time, until there is enough."""
    copies = None if disk == "limit" else Path(disk)
    laboratory = Laboratory(SCENARIOS[scenario], place, copies=copies)
    for number in count():
        kilobytes = number * step
        told = with_a_limit(laboratory, kilobytes) if copies is None else on_a_full_disk(laboratory, copies, kilobytes)
        yield told
        if told.ended.how == "done":
            return


def _fill(filler: Path, size: int) -> None:
    file = os.open(filler, os.O_CREAT | os.O_WRONLY)
    try:
        while size > 0:
            size -= os.write(file, bytes(min(size, 1 << 20)))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    os.close(file)


def main(scenario: str, place: str, disk: str, step: str) -> None:
    """Write an outcome a line."""
    for outcome in outcomes(scenario, Path(place), disk, int(step)):
        sys.stdout.write(json.dumps(asdict(outcome)) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
