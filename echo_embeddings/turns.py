"""One thread runs every pass of every model in this process. Knows nothing of what a pass does."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_passes = ThreadPoolExecutor(max_workers=1, thread_name_prefix="passes")


def in_turn(act: Callable[[], T]) -> T:
    """Run `act` when it is its turn, in the one thread that is there for it; return what it returns.

    One pass at a time uses all cores better than two side by side. And each thread that multiplies matrices keeps
    helper threads of its own, one a core, which spin while they wait for more: with passes in two threads a pass
    takes many times as long.
    """
    return _passes.submit(act).result()


def _begin_anew() -> None:
    """A forked process has the executor, but not its thread."""
    global _passes
    _passes = ThreadPoolExecutor(max_workers=1, thread_name_prefix="passes")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
