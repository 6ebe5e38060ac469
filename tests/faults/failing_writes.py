"""The preloaded library of `failing_writes.c`: made by the C compiler, steered from Python."""

from __future__ import annotations

import ctypes
import errno
import os
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


STOPPED = Fault("stopped before it", 5)
FAULTS = {
    fault.name: fault
    for fault in (
        Fault("nothing", 0),
        Fault("the disk is full once", 1, errno.ENOSPC),
        Fault("the disk fails once", 1, errno.EIO),
        Fault("the disk is full from then on", 2, errno.ENOSPC),
        Fault("killed before it", 3),
        Fault("killed half way through it", 4),
    )
}


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


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(os.environ["LD_PRELOAD"])
