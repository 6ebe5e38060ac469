"""The measurement of the MCP server: a small index with a tiny model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import assistants
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.sources.source import Source


def test_a_whole_run(encoder: EchoEncoder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "fox.md").write_text("# The fox\n\nThe quick brown fox jumps over the lazy dog.\n")
    build_index([Source.parse(str(tmp_path / "fox.md"))], tmp_path / "index", encoder=encoder)
    assistants.main([str(tmp_path / "index"), "--runs", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(assistants._MEASURED)
    assert all(re.fullmatch(r"\w.{40,50}\d+\.\d{3} s \(\d+\.\d{3}\)", line) for line in lines)
