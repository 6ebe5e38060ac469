"""Keeps memory that a pass frees at hand for the next pass, or hands it back. Knows nothing of models."""

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
    """Tell glibc not to hand large blocks back to the system: once a process, without effect elsewhere.

    Each layer frees and takes blocks of some megabytes. Handed back, they come again page by page, zeroed by the
    kernel, which costs a third of an int8 pass. What stays is at most what one pass needs, some 100 MB.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST)
    mallopt(_TRIM_THRESHOLD, _LARGEST)
    mallopt(_ARENAS, 1)  # an arena of a thread could not hold them


def release_freed_memory() -> None:
    """Hand all that is free back to the system, after what is not done again and again: without effect elsewhere.

    What no later block fits into would stay for good. A step of a training takes gigabytes, in blocks of other sizes
    than the last one: kept at hand, they would grow from step to step until the memory ends.
    """
    if sys.platform == "linux" and (malloc_trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        malloc_trim(0)
