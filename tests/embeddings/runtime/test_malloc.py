"""Freed memory is retained until it is released explicitly."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

GLIBC = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="another C library"
)
MEASURES = """
import os
import torch
from echo_index.embeddings.runtime.malloc import release_freed_memory, retain_freed_memory

def megabytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

retain_freed_memory()
before = megabytes()
blocks = [torch.ones(2 << 20) for _ in range(40)]  # 8 MB each
last = torch.ones(1 << 10)  # allocated after them, so that the heap does not shrink
held = megabytes()
del blocks
freed = megabytes()
release_freed_memory()
print(held - before, freed - before, megabytes() - before)
"""


@GLIBC
def test_freed_memory_is_retained_until_it_is_released() -> None:
    ran = subprocess.run([sys.executable, "-c", MEASURES], capture_output=True, text=True, check=True)
    held, freed, released = map(float, ran.stdout.split())
    assert held > 310
    assert freed > 310
    assert released < 40
