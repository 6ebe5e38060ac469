"""The preloaded library, made once, and the figures at the end."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .failing_writes import compile_library
from .harness import FIGURES


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the library that lets writes fail; it needs Linux and a C compiler."""
    if sys.platform != "linux":
        pytest.skip("writes are made to fail on Linux only")
    return compile_library(tmp_path_factory.mktemp("library"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell how much was tried."""
    if FIGURES:
        terminalreporter.section("faults")
        for name, figure in sorted(FIGURES.items()):
            terminalreporter.write_line(f"{figure:>8,}  {name}")
