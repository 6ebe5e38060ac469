"""The options `--engine` and `--parts`: what is said when they are wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from command_runner import Run


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/fox.md").write_text("# The fox\n\nThe quick brown fox jumps over the lazy dog.\n")
    return tmp_path


@pytest.mark.parametrize("engine", ["spark", "ray://", "ray:", "local://x"])
def test_an_engine_that_does_not_exist(run: Run, notes: Path, engine: str) -> None:
    result = run("build", "notes", "--engine", engine)
    assert result.code == 1
    assert f"There is no engine '{engine}'. The engines are: local, ray, ray://HOST:PORT." in " ".join(
        result.err.split()
    )


def test_parts_are_of_a_cluster(run: Run, notes: Path) -> None:
    result = run("build", "notes", "--parts", "s3://bucket")
    assert result.code == 1
    assert "Only a cluster writes parts" in result.err and "Add --engine ray" in result.err


def test_without_ray_there_is_one_sentence(run: Run, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    result = run("build", "notes", "--engine", "ray")
    assert result.code == 1
    assert "pip install 'echo-index[ray]'" in result.err
    assert not (notes / ".echo-index/manifest.json").exists()
