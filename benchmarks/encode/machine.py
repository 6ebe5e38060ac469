"""Describe the machine that runs the benchmark."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

_PROCESSORS = Path("/proc/cpuinfo")


def machine(*, threads: int) -> dict[str, str | int | float]:
    """Return the processor, its cores, the threads in use, the load before the run, and package versions."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "threads": threads,
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else -1.0,
        "python": platform.python_version(),
        "torch": version("torch"),
        "transformers": version("transformers"),
    }


def _processor() -> str:
    if _PROCESSORS.exists():
        for line in _PROCESSORS.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
