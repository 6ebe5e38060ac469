"""The load test of the routes for programs: a small run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import programs
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.sources.source import Source


def test_a_whole_run(tiny_model: LanguageModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "note.md").write_text("The whale sings.\n", encoding="utf-8")
    build_index([Source.parse(str(tmp_path))], tmp_path / "index", encoder=EchoEncoder(tiny_model))
    programs.main(["--index", str(tmp_path / "index"), "--clients", "4", "--seconds", "1", "--compare"])
    told = json.loads(capsys.readouterr().out)
    assert told["embeddings"].keys() == told["search"].keys() == {"200"}
    assert told["texts_per_second"] > 0 and told["encoder_texts_per_second"] > 0
    assert len(told["server_memory_mb"]) >= 2
