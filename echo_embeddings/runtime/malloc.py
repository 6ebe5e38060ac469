"""Control whether glibc retains freed memory for the next pass or returns it to the operating system."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

# from malloc.h
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_ARENAS = -8
_LARGEST = 1 << 30


@cache
def retain_freed_memory() -> None:
    """Let glibc retain large freed blocks: once a process; no effect on other C libraries.

    Each layer frees and allocates blocks of several megabytes. If they are returned to the system, the kernel zeroes
    every page again, which costs a third of an int8 pass. What is retained is at most the need of one pass, some
    100 MB.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST)
    mallopt(_TRIM_THRESHOLD, _LARGEST)
    mallopt(_ARENAS, 1)  # the arena of a single thread could not hold blocks of this size


def release_freed_memory() -> None:
    """Return all freed memory to the system, after work that is not repeated; no effect on other C libraries.

    Retained blocks that fit no later request would never be used again. A training step takes gigabytes, in blocks of
    other sizes than the step before: retained, they would grow from step to step until memory runs out.
    """
    if sys.platform == "linux" and (malloc_trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        malloc_trim(0)
