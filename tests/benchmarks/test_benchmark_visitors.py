"""The load test of the server: a small run."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import visitors
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.sources.source import Source


def test_a_whole_run(tiny_model: LanguageModel, tmp_path: Path) -> None:
    (tmp_path / "note.md").write_text("The whale sings.\n", encoding="utf-8")
    build_index([Source.parse(str(tmp_path))], tmp_path / "index", encoder=EchoEncoder(tiny_model))
    written = tmp_path / "figures.json"
    visitors.main(
        ["--index", str(tmp_path / "index"), "--visitors", "3", "--seconds", "1", "--json", str(written)],
    )
    told = json.loads(written.read_text(encoding="utf-8"))
    assert told["errors"] == 0
    assert told["searches"] >= 3
    assert 0 < told["median_wait_seconds"] <= told["p95_wait_seconds"] <= told["longest_wait_seconds"]
    assert len(told["server_memory_mb"]) >= 2
