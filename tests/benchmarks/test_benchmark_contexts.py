"""The measurement of contexts: small datasets with a tiny model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from evaluation_files import write_beir

from benchmarks import contexts
from echo_index.app.services import encoder_factory
from echo_index.app.services.encoder_factory import EncoderOptions
from echo_index.indexer.generations.manifest import read_manifest


@pytest.mark.model
def test_a_whole_run(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        contexts,
        "open_encoder",
        lambda options, **rest: encoder_factory.open_encoder(EncoderOptions(model=str(tiny_folder)), **rest),
    )
    datasets = [(str(write_beir(tmp_path / name)), f"About {name}") for name in ("whales", "boats")]
    words = [word for folder, line in datasets for word in ("--dataset", folder, line)]
    contexts.main([*words, "--work", str(tmp_path / "work")])
    rows = capsys.readouterr().out.splitlines()[-8:]
    searches = ["alone, dense", "together, dense", "alone, hybrid", "together, hybrid"]
    assert [row.split(":")[0].split("), ")[1] for row in rows] == 2 * searches
    for row in rows:
        plain, with_context, difference, low, high = map(float, re.findall(r"[+-]?\d+\.\d\d\b", row)[:5])
        assert with_context - plain == pytest.approx(difference, abs=0.02) and low <= difference <= high
        own = [float(share) for share in row.partition("; own ")[2].split()]
        assert len(own) == 2 * ("together" in row) and all(0 <= share <= 1 for share in own)
    built = {read_manifest(path.parent).context for path in (tmp_path / "work").rglob("manifest.json")}
    assert built == {"", "About whales", "About boats"}
