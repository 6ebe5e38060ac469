"""The manifest: it is read as it was written, and any other content is reported as damage."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pytest

from echo_index.errors import IndexDamaged, IndexMismatch, IndexMissing
from echo_index.indexer.generations.manifest import (
    NEWEST_FORMAT,
    Canary,
    Manifest,
    manifest_stamp,
    read_manifest,
    with_needed_format,
    write_manifest,
)
from echo_index.indexer.vectors.index_kind import IndexDescription, SearchParameters
from echo_index.indexer.vectors.normalization import NormalizationPair, VectorNormalization

MEANS = np.array([[0.1, -0.2], [1 / 3, 1e-30]], dtype=np.float32)
MANIFEST = Manifest(
    generation=3,
    fingerprint="f" * 64,
    encoder={"model": "modèle", "layer": 9, "adapter": None},
    chunking={"max_tokens": 200, "overlap_tokens": 30},
    documents=2,
    chunks=5,
    vectors_file="vectors-3.faiss",
    finished="2025-01-01T00:00:00+00:00",
    normalizations=NormalizationPair(
        VectorNormalization.of(MEANS[0], MEANS[1], np.eye(2)[:1], np.array([0.5]), 5),
        VectorNormalization.identity(2, 5),
    ),
    canaries=(Canary("A text.", (0.5, -1 / 8, 2.0**-100)), Canary("漢字\n", (1.0,))),
    context="Notes of a museum",
    format_version=NEWEST_FORMAT,
)


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_manifest(tmp_path, MANIFEST)
    assert read_manifest(tmp_path) == MANIFEST
    assert [file.name for file in tmp_path.iterdir()] == ["manifest.json"]


def test_without_a_manifest_there_is_no_index(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(IndexMissing, match="no complete index") as caught:
            read_manifest(folder)
        assert "echo-index build" in caught.value.remedy
        with pytest.raises(IndexMissing, match="no complete index"):
            manifest_stamp(folder)


def test_an_unfinished_index_is_reported_as_such(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").touch()
    with pytest.raises(IndexMissing, match="a build was started but has not finished") as caught:
        read_manifest(tmp_path)
    assert caught.value.remedy == "Continue it: echo-index build FOLDER"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe\x00", b"[]", b"null", b"3", b'"text"', b'{"format_version": 1}']
)
def test_garbage_is_reported_as_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(IndexDamaged, match=r"manifest\.json is damaged: ") as caught:
        read_manifest(tmp_path)
    assert caught.value.remedy == "Repair it: echo-index build"


def test_a_later_format_is_rejected(tmp_path: Path) -> None:
    write_manifest(tmp_path, replace(MANIFEST, format_version=NEWEST_FORMAT + 1))
    with pytest.raises(IndexMismatch) as caught:
        read_manifest(tmp_path)
    assert f"has format {NEWEST_FORMAT + 1}; this version of echo-index reads formats up to" in caught.value.message
    assert "--index FOLDER" in caught.value.remedy


@pytest.mark.parametrize("version", [0, "1", None])
def test_an_invalid_format_version_is_damage(tmp_path: Path, version: object) -> None:
    write_manifest(tmp_path, replace(MANIFEST, format_version=version))  # type: ignore[arg-type]
    with pytest.raises(IndexDamaged, match="has no format version"):
        read_manifest(tmp_path)


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    write_manifest(tmp_path, MANIFEST)
    path = tmp_path / "manifest.json"
    whole = path.read_bytes()
    for position in range(len(whole)):
        flipped = bytearray(whole)
        flipped[position] ^= 1
        path.write_bytes(flipped)
        try:
            assert read_manifest(tmp_path) == MANIFEST  # white space, which means nothing
        except (IndexDamaged, IndexMismatch):
            continue


def test_a_manifest_of_the_first_format_is_read(tmp_path: Path) -> None:
    """It has no checksum and no name of the catalog, and only means for the normalization."""
    fields_then = asdict(replace(MANIFEST, format_version=1))
    del fields_then["catalog_file"], fields_then["normalizations"], fields_then["context"]
    fields_then["means"] = {"document": MEANS[0].tolist(), "query": MEANS[1].tolist(), "passages": 5}
    (tmp_path / "manifest.json").write_text(json.dumps(fields_then))
    manifest = read_manifest(tmp_path)
    assert manifest.normalizations.classical is None
    assert np.array_equal(
        manifest.normalizations.echo.normalize_documents(MEANS),
        VectorNormalization.of(*MEANS, MEANS[:0], MEANS[:0, 0], 5).normalize_documents(MEANS),
    )
    assert replace(manifest, normalizations=MANIFEST.normalizations) == replace(MANIFEST, context="", format_version=1)
    assert not manifest.has_checksums


@pytest.mark.parametrize("name", ["vectors_file", "catalog_file"])
def test_a_manifest_must_not_name_files_in_other_folders(tmp_path: Path, name: str) -> None:
    write_manifest(tmp_path, replace(MANIFEST, **{name: "../elsewhere"}))  # type: ignore[arg-type]
    with pytest.raises(IndexDamaged, match=r"'\.\./elsewhere', which is not in its folder"):
        read_manifest(tmp_path)


APPROXIMATE = IndexDescription(
    "IVF1,PQ160x4fs", SearchParameters(probes=3, breadth=5, candidates=80), 0.98, 0.985, 300, 210.0, 88.5
)


def test_an_approximate_index_is_described_and_closed_to_earlier_versions(tmp_path: Path) -> None:
    described = with_needed_format(replace(MANIFEST, vector_index=APPROXIMATE))
    write_manifest(tmp_path, described)
    assert read_manifest(tmp_path) == described
    assert described.format_version == 7
    assert with_needed_format(replace(described, vector_index=None)) == with_needed_format(MANIFEST)


@pytest.mark.parametrize("parameters", [None, {}, {"probes": 1, "depth": 2}, 7])
def test_a_description_of_the_index_that_cannot_be_read_is_damage(tmp_path: Path, parameters: object) -> None:
    write_manifest(tmp_path, with_needed_format(replace(MANIFEST, vector_index=APPROXIMATE)))
    written = json.loads((tmp_path / "manifest.json").read_text())
    del written["checksum"]
    written["vector_index"]["parameters"] = parameters
    written["checksum"] = hashlib.sha256(json.dumps(written, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    (tmp_path / "manifest.json").write_text(json.dumps(written))
    if parameters == {}:
        assert read_manifest(tmp_path).vector_index == replace(APPROXIMATE, parameters=SearchParameters())
        return
    with pytest.raises(IndexDamaged, match="is incomplete"):
        read_manifest(tmp_path)


def test_an_index_in_a_store_alone_has_a_format_that_earlier_versions_refuse(tmp_path: Path) -> None:
    manifest = with_needed_format(replace(MANIFEST, store="milvus:http://host:19530", has_addresses=True))
    assert manifest.format_version == NEWEST_FORMAT == 9
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest
    assert with_needed_format(replace(manifest, store="")).format_version == 8


@pytest.mark.parametrize("name", [field.name for field in fields(Manifest)])
def test_a_missing_field_is_noticed(tmp_path: Path, name: str) -> None:
    everything = replace(MANIFEST, vector_index=APPROXIMATE, has_addresses=True, store="milvus:http://host:19530")
    write_manifest(tmp_path, with_needed_format(everything))
    written = json.loads((tmp_path / "manifest.json").read_text())
    del written["spaces" if name == "normalizations" else name]
    (tmp_path / "manifest.json").write_text(json.dumps(written))
    with pytest.raises(IndexDamaged):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"canaries": None},
        {"canaries": [7]},
        {"canaries": [{}]},
        {"spaces": 7},
        {"spaces": {}},
        {"spaces": {"echo": 7, "classical": None}},
        {"unknown": 1},
    ],
)
def test_an_invalid_field_is_noticed(tmp_path: Path, change: dict[str, object]) -> None:
    write_manifest(tmp_path, MANIFEST)
    written = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**written, **change}))
    with pytest.raises(IndexDamaged, match="its checksum is wrong"):
        read_manifest(tmp_path)
    del written["checksum"]  # as in the first format
    (tmp_path / "manifest.json").write_text(json.dumps({**written, **change, "format_version": 1}))
    with pytest.raises(IndexDamaged, match="it is incomplete"):
        read_manifest(tmp_path)


def test_a_manifest_is_replaced_atomically(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_manifest(tmp_path, MANIFEST)
    stamp = manifest_stamp(tmp_path)

    def interrupted(number: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "fsync", interrupted)
        write_manifest(tmp_path, replace(MANIFEST, generation=4))
    assert read_manifest(tmp_path) == MANIFEST
    assert manifest_stamp(tmp_path) == stamp

    write_manifest(tmp_path, replace(MANIFEST, generation=4))
    assert read_manifest(tmp_path).generation == 4
    assert manifest_stamp(tmp_path) != stamp
    assert [file.name for file in tmp_path.iterdir()] == ["manifest.json"]


def test_canaries_of_an_earlier_format_are_lists_of_numbers(tmp_path: Path) -> None:
    fields = json.loads(MANIFEST.as_text())
    fields["canaries"] = [{"text": canary.text, "vector": canary.vector} for canary in MANIFEST.canaries]
    fields["format_version"] = 1
    del fields["checksum"]  # that format had none
    assert Manifest.parse(json.dumps(fields), path=tmp_path).canaries == MANIFEST.canaries
