"""Run a function in a copy of this process, so that libraries without limits of their own can be stopped."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from typing import Any


def run_in_copy(function: Callable[[], Any], *, cpu_seconds: int) -> Any:
    """Return what a function returns, in the types of JSON; None if it crashes or takes too much time or memory.

    Where processes cannot be copied, as on Windows, it is run in this process without limits.
    """
    if not hasattr(os, "fork"):
        return function()
    reading_end, writing_end = os.pipe()
    with warnings.catch_warnings():
        # The copy takes no locks of other threads: it only parses, and writes to the pipe.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _run(function, writing_end, cpu_seconds)
    os.close(writing_end)
    with os.fdopen(reading_end, "rb") as pipe:
        result = pipe.read()
    _, status = os.waitpid(child, 0)
    return json.loads(result) if status == 0 else None


def _run(function: Callable[[], Any], writing_end: int, cpu_seconds: int) -> None:
    """Write the result of a function to a pipe, and end this process."""
    import resource

    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        result = json.dumps(function()).encode()
        with os.fdopen(writing_end, "wb") as pipe:
            pipe.write(result)
        status = 0
    finally:
        os._exit(status)  # nothing of the copied process may be cleaned up twice
