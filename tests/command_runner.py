"""Run a command of the command line in this process."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from echo_index.app.cli.main import main


class Ran(NamedTuple):
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


def run_command(
    *words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: bytes = b""
) -> Ran:
    """Run a command with `given` as its standard input."""
    monkeypatch.setattr(sys, "argv", ["echo-index", *words])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    return Ran(code, *capsys.readouterr())
