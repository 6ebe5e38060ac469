"""The preloaded library of `failing_writes.c`: made by the C compiler, steered from Python."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("failing_writes.c")


@dataclass(frozen=True)
class Fault:
    """What happens at a write point: the number of the action in the library, and the errno that goes with it."""

    name: str
    action: int
    code: int = 0


UNDISTURBED = Fault("nothing", 0)
FULL_FOR_A_MOMENT = Fault("the disk is full once", 1, errno.ENOSPC)
BROKEN_FOR_A_MOMENT = Fault("the disk fails once", 1, errno.EIO)
FULL = Fault("the disk is full from then on", 2, errno.ENOSPC)
KILLED = Fault("killed before it", 3)
KILLED_HALF_WAY = Fault("killed half way through it", 4)
STOPPED = Fault("stopped before it", 5)
FAULTS = {
    fault.name: fault
    for fault in (
        UNDISTURBED, FULL_FOR_A_MOMENT, BROKEN_FOR_A_MOMENT, FULL, KILLED, KILLED_HALF_WAY, STOPPED
    )
}  # fmt: skip


def compile_library(folder: Path) -> Path:
    """Make the library in a folder."""
    library = folder / "failing_writes.so"
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-Wall", "-o", library, SOURCE, "-ldl"], check=True)
    return library


def arm(folder: Path, fault: Fault, *, at: int = 0, record: Path | None = None) -> None:
    """Let the fault happen at the `at`-th write below the folder from now on; `record` takes a line for each write."""
    file = -1 if record is None else os.open(record, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    _library().arm(os.fsencode(os.path.realpath(folder)), ctypes.c_long(at), fault.action, fault.code, file)


def disarm() -> None:
    """Let all writes through."""
    _library().arm(b"/nowhere", ctypes.c_long(0), 0, 0, -1)


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(os.environ["LD_PRELOAD"])


def was_killed(status: int) -> bool:
    """Return whether a process ended by SIGKILL, by its wait status."""
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
