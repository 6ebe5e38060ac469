"""Functions run at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence


def run_together(functions: Sequence[Callable[[], object]], *, seconds: float = 60) -> None:
    """Run each function in a thread of its own, and fail if one does not end in time."""
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
    assert not any(thread.is_alive() for thread in threads)
