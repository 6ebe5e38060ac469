"""One thread runs every pass of every model in this process. Knows nothing of what a pass does."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_this_thread = threading.local()


def _begin() -> ThreadPoolExecutor:
    def note() -> None:
        _this_thread.runs_passes = True

    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="passes", initializer=note)


_passes = _begin()


def run_on_executor(act: Callable[[], T]) -> T:
    """Run `act` when it is its turn, in the one thread that is there for it; return what it returns.

    One pass at a time uses all cores better than two side by side. And each thread that ever multiplied matrices keeps
    helper threads of its own, one a core, which spin while they wait for more, or are woken for each operation where
    there are more of them than cores: either way a pass takes twice as long or longer. So what works with large
    tensors belongs in here, be it a pass or not. Inside of `act`, this runs at once.
    """
    if getattr(_this_thread, "runs_passes", False):
        return act()
    return _passes.submit(act).result()


def run_in_new_thread(act: Callable[[], T]) -> T:
    """Run `act`, which is no pass and may take long, in a thread that ends with it, helper threads and all."""
    returned: Future[T] = Future()

    def run() -> None:
        try:
            returned.set_result(act())
        except BaseException as error:  # noqa: BLE001 - raised again where it was asked for
            returned.set_exception(error)

    threading.Thread(target=run, name="once", daemon=True).start()
    return returned.result()


def prefetched(acts: Iterable[Callable[[], T]]) -> Generator[T, None, None]:
    """Run acts in turn and yield what each returns; the next one runs while the caller is busy with it.

    Never more than one waits for its turn, so that what others ask for meanwhile comes in between.
    """
    begun: Future[T] | None = None
    try:
        for act in acts:
            if begun is None:
                begun = _passes.submit(act)
            else:
                result = begun.result()
                begun = _passes.submit(act)
                yield result
        if begun is not None:
            yield begun.result()
    finally:
        if begun is not None:
            begun.cancel()


def _begin_anew() -> None:
    """A forked process has the executor, but not its thread."""
    global _passes
    _passes = _begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
