"""A command line in an empty folder."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from command_runner import Ran, Run, run_command


@pytest.fixture
def run(tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command in an empty folder; `build` uses the tiny model by default."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    here = partial(run_command, monkeypatch=monkeypatch, capsys=capsys)

    def run_here(*words: str, given: bytes = b"") -> Ran:
        if words and words[0] == "build" and "--model" not in words:
            words = (*words, "--model", str(tiny_folder))
        return here(*words, given=given)

    return run_here
