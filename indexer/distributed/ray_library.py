"""Load Ray, which only builds on many machines need, and keep it quiet."""

from __future__ import annotations

import logging
import os
from types import ModuleType

from echo_index.errors import MissingPackage


def load_ray() -> ModuleType:
    """Return the package ray. It sends no statistics of its use, and writes no log to the terminal.

    Raises:
        MissingPackage: it is not installed, or without Ray Data.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    try:
        import pyarrow  # noqa: F401 - Ray Data needs it
        import ray
        import ray._private.worker as worker
    except ImportError as error:
        raise MissingPackage(
            "Ray, which builds an index on many machines, is not installed.",
            remedy="Install it: pip install 'echo-index[ray]'",
        ) from error
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    # Even without logs of workers, Ray prints to standard output when a node dies, where --json prints a report.
    worker._worker_logs_enabled = False
    return ray  # type: ignore[no-any-return]
