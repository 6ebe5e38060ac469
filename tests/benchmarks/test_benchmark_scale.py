"""The benchmarks of index kinds and of growth: whole runs with a tiny model, and vectors like the real ones."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from indexer_helpers import build, write

from benchmarks import scale, search
from benchmarks.clustered_vectors import ClusteredVectors
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.model_loading import load_model


@pytest.fixture(scope="module")
def source(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an index of some hundred passages."""
    folder = tmp_path_factory.mktemp("source")
    for number in range(300):
        words = f"whale{number % 7} sea{number % 11} salt{number} boat{number % 5} storm{number % 13}"
        write(folder, **{f"note{number:03d}": f"# Note {number}\n\nThe {words} of harbour {number % 3}.\n"})
    build(folder, folder / "index", EchoEncoder(load_model(str(tiny_folder))))  # type: ignore[arg-type]
    return folder / "index"


def test_blocks_are_the_same_each_time_and_unlike_each_other(source: Path, tmp_path: Path) -> None:
    first, again = (ClusteredVectors([source], queries_file=tmp_path / "queries.npy") for _ in range(2))
    assert first.block(3, size=50).tolist() == again.block(3, size=50).tolist()
    assert np.abs(first.block(3, size=50) - first.block(4, size=50)).max() > 0.01
    assert np.linalg.norm(first.block(3, size=50), axis=1) == pytest.approx(np.ones(50), abs=1e-5)
    assert first.queries.tolist() == again.queries.tolist()
    assert len(first.queries) > 100


def test_index_kinds_are_measured_against_the_true_neighbours(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = ["--kinds", "IVF1,SQ8", "IVF4,SQ8", "HNSW8,SQ8", "--faiss", "Flat", "IVF4,SQ8,Refine(SQ8)"]
    search.main([str(source), "--work", str(tmp_path), "--vectors", "3000", *kinds])
    rows = capsys.readouterr().out.splitlines()
    recalls = {row[:74]: float(row[74:85]) for row in rows[3:]}
    assert len(recalls) == 1 + 4 + 2 + 4 + 1 + 2
    for row, recall in recalls.items():
        assert 0 < recall <= 1
        if "exact" in row or "Flat" in row or "320 candidates" in row:
            assert recall > 0.97, row
    assert rows[1].startswith("3,000 vectors of ")


def test_an_index_is_built_searched_and_changed_at_each_size(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("echo_index.indexer.vectors.index_kind.EXACT_UP_TO", 400)
    monkeypatch.setattr(scale, "_ONE_IN", 5)
    for _ in range(2):  # the second run finds the index of the first
        scale.main([str(source), "--work", str(tmp_path), "--sizes", "1000", "--words", "12"])
    first, again = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["passages"] == 1000 and first["kind"].startswith("IVF1,PQ")
    assert first["recall"] > 0.5
    assert re.fullmatch(r"IVF1,PQ\d+x4fs", first["kind"])
    assert {"store_s", "index_s", "build_mb"} <= first.keys() - again.keys()
    assert {"open_s", "hybrid_ms", "process_s", "update_s", "removal_s", "peak_mb"} <= again.keys()
