"""Count the cores that this process may use."""

from __future__ import annotations

import os


def available_cores() -> int:
    """Return the number of cores for this process, or a smaller number in OMP_NUM_THREADS."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(wanted)) if wanted.isdecimal() and int(wanted) else cores
