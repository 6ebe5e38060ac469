"""A file that is wrong gets one sentence with a remedy, and leaves nothing; an index is never lost by an import."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from indexer_helpers import WordEncoder, build, contents, write
from repository import ROOT

from echo_index.errors import ExchangeError, IndexBusy, IndexMissing, MissingPackage
from echo_index.indexer.exchange.export_index import export_index
from echo_index.indexer.exchange.import_index import import_index
from echo_index.indexer.generations import commit
from echo_index.indexer.generations.commit import IMPORTING
from echo_index.indexer.generations.manifest import MANIFEST, read_manifest
from echo_index.indexer.generations.recovery import recover_commit
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.indexer.inspection.verify import verify_index
from echo_index.indexer.storage.writer_lock import writer_lock

KEY = b"echo_index"
Change = Callable[[pa.Table], pa.Table]


def describe(change: Callable[[dict[str, Any]], object]) -> Change:
    """Return a change of the description of a file."""

    def changed(table: pa.Table) -> pa.Table:
        described = json.loads(table.schema.metadata[KEY])
        change(described)
        return table.replace_schema_metadata({KEY: json.dumps(described)})

    return changed


def replace_column(name: str, change: Callable[[list[Any]], object], kind: pa.DataType | None = None) -> Change:
    """Return a change of the values of a column."""

    def changed(table: pa.Table) -> pa.Table:
        values = table[name].to_pylist()
        change(values)
        column = pa.array(values, type=kind or table.schema.field(name).type)
        return table.set_column(table.schema.get_field_index(name), name, column)

    return changed


def set_value(row: int, value: Any) -> Callable[[list[Any]], object]:
    return lambda values: values.__setitem__(row, value)


def vector(**components: float) -> list[float]:
    """Return a vector (32,) that is one in its first component, except for some components by their number."""
    values = [1.0] + 31 * [0.0]
    for name, value in components.items():
        values[int(name.removeprefix("c"))] = value
    return values


def swap_rows(table: pa.Table) -> pa.Table:
    """Move the first passage behind those of other documents."""
    return pa.concat_tables([table.slice(1), table.slice(0, 1)])


def repeat_passage(table: pa.Table) -> pa.Table:
    """Replace the second passage by the first one."""
    return pa.concat_tables([table.slice(0, 1), table.slice(0, 1), table.slice(2)])


def of_later_manifest(described: dict[str, Any]) -> None:
    described["manifest"]["format_version"] = 99


WRONG: dict[str, tuple[Change, str]] = {
    "no metadata": (lambda table: table.replace_schema_metadata({}), "no schema metadata 'echo_index'.*-index export"),
    "no JSON": (lambda table: table.replace_schema_metadata({KEY: b"{"}), "its description cannot be read"),
    "a list": (lambda table: table.replace_schema_metadata({KEY: b"[]"}), "its description cannot be read"),
    "a later format": (describe(lambda d: d.update(format=2)), "by a later version.*format 2.*Update echo-index"),
    "a later index": (describe(of_later_manifest), "written by a later version.*index of format 99.*Update echo-index"),
    "another encoder": (describe(lambda d: d["manifest"]["encoder"].update(dimension=3)), "its checksum is wrong"),
    "no settings": (describe(lambda d: d.pop("settings")), "description cannot be read.*settings"),
    "a number as setting": (describe(lambda d: d["settings"].update(ocr=1)), "its settings are no texts"),
    "sources that are no list": (describe(lambda d: d["settings"].update(sources='{"a": 1}')), "the sources in its"),
    "sources that are no JSON": (describe(lambda d: d["settings"].update(sources="[")), "the sources in its"),
    "an archive of no kind": (
        describe(lambda d: d["settings"].update({"skipped in docs/letters.zip": "7"})),
        "the sources in its",
    ),
    "half a document": (
        describe(lambda d: d["documents_without_passages"][0].pop("size")),
        "a document without passages is not complete",
    ),
    "a document twice": (
        describe(lambda d: d["documents_without_passages"].append(d["documents_without_passages"][0])),
        "'docs/broken.pdf' is there twice",
    ),
    "an empty document with passages": (
        describe(lambda d: d["documents_without_passages"][0].update(path="docs/whales.md", failure=None)),
        "'docs/whales.md' is there twice",
    ),
    "no column": (lambda table: table.drop_columns(["text"]), "it has no columns 'text'"),
    "a column twice": (lambda table: table.append_column("text", table["text"]), "it has 2 columns 'text'"),
    "a row less": (lambda table: table.slice(1), r"it has \d+ rows, but its index has \d+ passages"),
    "a passage twice": (repeat_passage, "the passage at .* is there twice"),
    "passages apart": (swap_rows, "its passages do not stand one after the other"),
    "another dimension": (
        replace_column(
            "vector",
            lambda values: values.__setitem__(slice(None), [each[:31] for each in values]),
            pa.list_(pa.float32(), 31),
        ),
        "its vectors have 31 dimensions, but those of its index have 32",
    ),
    "a short vector": (
        replace_column("vector", set_value(5, [1.0]), pa.list_(pa.float32())),
        "the vector of the passage at .* has 1 dimensions, but those of the index have 32",
    ),
    "no vector": (replace_column("vector", set_value(5, None), pa.list_(pa.float32())), "the vector .* is missing"),
    "NaN": (replace_column("vector", set_value(5, vector(c3=float("nan")))), "the vector .* holds what is no number"),
    "a component missing": (
        replace_column("vector", set_value(5, [None, *vector()[1:]]), pa.list_(pa.float32())),
        "the vector .* holds what is no number",
    ),
    "infinity": (replace_column("vector", set_value(5, vector(c3=float("inf")))), "the vector .* holds what is no"),
    "zeros": (replace_column("vector", set_value(5, vector(c0=0))), "the vector .* has length 0 instead of 1"),
    "a long classical vector": (
        replace_column("classical_vector", set_value(5, vector(c0=3))),
        "the vector .* has length 3 instead of 1",
    ),
    "texts as vectors": (
        replace_column("vector", lambda values: values.__setitem__(slice(None), ["x"] * len(values)), pa.string()),
        "its column 'vector' holds no vectors but string",
    ),
    "another text": (replace_column("text", set_value(1, "Other words.")), "is wrong: it ends at .* 12 characters"),
    "a text of the same length": (
        replace_column("text", lambda values: values.__setitem__(1, values[1].swapcase())),
        "its text, headings or title are not those that its vector belongs to",
    ),
    "no text": (replace_column("text", set_value(1, None)), "its text is no text"),
    "a negative place": (replace_column("start_offset", set_value(1, -4)), "the passage at -4 of .* is wrong"),
    "a number as text": (
        replace_column("line", lambda values: values.__setitem__(slice(None), ["7"] * len(values)), pa.string()),
        "its line is no whole number",
    ),
    "fields that are no object": (replace_column("fields", set_value(1, "[1]")), "its fields are no JSON object"),
    "fields that are no JSON": (replace_column("fields", set_value(1, "{")), "is wrong: "),
    "a field that is no number": (replace_column("fields", set_value(1, '{"year": [NaN]}')), "its fields are no lists"),
    "another title": (replace_column("title", set_value(1, "Else")), "the passage at .* is wrong: its text, headings"),
    "passages that disagree": (replace_column("size", set_value(1, 5)), "its passages disagree about the document '"),
    "anchors of texts": (replace_column("anchors", set_value(1, '[["a", 1, "", []]]')), "its anchors are wrong"),
    "anchors that are a number": (replace_column("anchors", set_value(1, "5")), "is wrong: it is not complete"),
    "a recognition of two": (replace_column("recognition", set_value(1, "[2, []]")), "its recognition is wrong"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_and_nothing_is_left(exported: Path, tmp_path: Path, name: str) -> None:
    change, sentence = WRONG[name]
    wrong = tmp_path / "wrong.parquet"
    pq.write_table(change(pq.read_table(exported)), wrong)
    with pytest.raises(ExchangeError, match=sentence) as caught:
        import_index(wrong, tmp_path / "new/folder/.echo-index")
    assert caught.value.remedy and "wrong.parquet" in caught.value.message and "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["wrong.parquet"]


def test_what_is_no_file_of_ours_is_said(exported: Path, tmp_path: Path) -> None:
    whole = exported.read_bytes()
    for name, content in {"a": b"", "b": b"Once upon a time", "c": whole[: len(whole) // 2], "d": whole[:-3]}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ExchangeError, match=rf"{name} is not a Parquet file, or a part of one"):
            import_index(tmp_path / name, tmp_path / "new")
    with pytest.raises(ExchangeError, match=r"There is no file .*nothing"):
        import_index(tmp_path / "nothing", tmp_path / "new")
    with pytest.raises(ExchangeError, match="cannot be read: it is not a file"):
        import_index(tmp_path, tmp_path / "new")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ExchangeError, match="cannot be read: it is not a file"):
        import_index(tmp_path / "pipe", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_bit_that_has_changed_is_noticed(exported: Path, tmp_path: Path) -> None:
    file = pq.ParquetFile(exported)
    places = [file.metadata.row_group(0).column(n) for n in range(file.metadata.row_group(0).num_columns)]
    [column] = [place for place in places if place.path_in_schema.startswith("vector.")]
    whole, path = exported.read_bytes(), tmp_path / "changed.parquet"
    end = column.data_page_offset + column.total_compressed_size
    for place in range(end - 400, end, 40):  # compression notices some of these changes, the checksum all of them
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ExchangeError, match=r"changed\.parquet cannot be imported: it is damaged"):
            import_index(path, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_files_that_other_programs_have_written_again_are_read(notes: Path, exported: Path, tmp_path: Path) -> None:
    table = pq.read_table(exported)
    index = table.schema.get_field_index("vector")
    doubles = pa.array(table["vector"].to_pylist(), type=pa.list_(pa.float64()))
    table = table.set_column(index, "vector", doubles).append_column("own", pa.array(range(len(table))))
    table = table.set_column(0, "path", table["path"].dictionary_encode())
    pq.write_table(table, tmp_path / "again.parquet", row_group_size=5, compression="snappy")
    import_index(tmp_path / "again.parquet", tmp_path / "copy")
    assert contents(tmp_path / "copy") == contents(notes / "index")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Return the folder of another index."""
    write(tmp_path / "docs", kite="# Kite\n\nIt flies.\n")
    build(tmp_path / "docs", tmp_path / "other", WordEncoder(name="others"))
    return tmp_path / "other"


def test_an_index_is_only_replaced_if_that_is_wanted(notes: Path, exported: Path, other: Path) -> None:
    before = contents_of(other)
    with pytest.raises(ExchangeError, match=r"There is an index in .*other already.*--index.*--overwrite"):
        import_index(exported, other)
    assert contents_of(other) == before
    open_before = open_snapshot(other, index_device="cpu")
    import_index(exported, other, overwrite=True)
    assert contents(other) == contents(notes / "index")
    assert read_manifest(other).generation == open_before.manifest.generation + 1
    assert [path.name for path in other.glob("*.sqlite")] == ["catalog-2.sqlite"]
    assert all(not check.problems for check in verify_index(other))
    open_before.catalog.close()


def test_an_unfinished_build_is_not_overwritten_by_the_way(exported: Path, tmp_path: Path) -> None:
    write(tmp_path / "docs", kite="# Kite\n\nIt flies.\n")
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "docs", tmp_path / "index", WordEncoder(patience=0))
    with pytest.raises(ExchangeError, match="There is an index in"):
        import_index(exported, tmp_path / "index")
    import_index(exported, tmp_path / "index", overwrite=True)
    assert all(not check.problems for check in verify_index(tmp_path / "index"))


@pytest.mark.parametrize("when", ["at the start", "in the middle", "at the end"])
def test_an_interruption_leaves_what_was_there(
    exported: Path, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    def stop(done: int, total: int) -> None:
        if done == (0 if when == "at the start" else total):
            raise KeyboardInterrupt

    if when == "at the end":
        monkeypatch.setattr(commit, "write_manifest", lambda index_dir, manifest: stop(1, 1))
    progress = (lambda done, total: None) if when == "at the end" else stop
    before = contents_of(other)
    with pytest.raises(KeyboardInterrupt):
        import_index(exported, other, overwrite=True, progress=progress)
    assert {name: before[name] for name in before if name.startswith(("manifest", "catalog.sqlite"))}.items() <= (
        contents_of(other).items()
    )
    assert not (other / IMPORTING).exists()
    with pytest.raises(KeyboardInterrupt):
        import_index(exported, tmp_path / "new", progress=progress)
    if when != "at the end":
        assert not (tmp_path / "new").exists()
        return
    monkeypatch.undo()
    with pytest.raises(IndexMissing):
        open_snapshot(tmp_path / "new")
    import_index(exported, tmp_path / "new", overwrite=True)
    assert all(not check.problems for check in verify_index(tmp_path / "new"))


KILLED = """
import os, signal, sys
from pathlib import Path
from echo_index.indexer.exchange.import_index import import_index
def stop(done, total):
    if done == total:
        os.kill(os.getpid(), signal.SIGKILL)
import_index(Path(sys.argv[1]), Path(sys.argv[2]), progress=stop)
"""


def test_an_import_that_is_killed_leaves_no_half_index(notes: Path, exported: Path, tmp_path: Path) -> None:
    index_dir = tmp_path / "index"
    ended = subprocess.run([sys.executable, "-c", KILLED, exported, index_dir], cwd=ROOT, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert (index_dir / IMPORTING).exists()
    with pytest.raises(IndexMissing):
        open_snapshot(index_dir)
    shutil.copytree(index_dir, tmp_path / "built")
    write(tmp_path / "docs", kite="# Kite\n\nIt flies.\n")
    report = build(tmp_path / "docs", tmp_path / "built")
    assert (report.documents, report.embedded) == (1, 1), "a build does not take it for its own"
    assert not [*(tmp_path / "built").glob(f"{IMPORTING}*")]
    import_index(exported, index_dir)
    assert contents(index_dir) == contents(notes / "index")
    assert not [*index_dir.glob(f"{IMPORTING}*")]


KILLED_IN_COMMIT = """
import os, signal, sys
from pathlib import Path
from echo_index.indexer.exchange.import_index import import_index
from echo_index.indexer.generations import commit
setattr(commit, sys.argv[3], lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
import_index(Path(sys.argv[1]), Path(sys.argv[2]), overwrite=True)
"""


@pytest.mark.parametrize(
    "before", ["write_vector_index", "store_manifest", "write_manifest", "_remove_old_generations"]
)
def test_an_index_that_is_replaced_is_whole_at_every_step(
    notes: Path, exported: Path, other: Path, tmp_path: Path, before: str
) -> None:
    as_it_was, as_it_will_be = contents(other), contents(notes / "index")
    ended = subprocess.run([sys.executable, "-c", KILLED_IN_COMMIT, exported, other, before], cwd=ROOT, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert contents(other) == (as_it_will_be if before == "_remove_old_generations" else as_it_was)
    assert all(not check.problems for check in verify_index(other))
    assert recover_commit(other).manifest == read_manifest(other), "a writer completes what was complete on the disk"
    is_new = before in ("write_manifest", "_remove_old_generations")
    assert contents(other) == (as_it_will_be if is_new else as_it_was)
    import_index(exported, other, overwrite=True)
    assert contents(other) == as_it_will_be
    assert len([*other.glob("*.sqlite")]) == 1


def test_an_index_that_is_being_written_is_left_alone(exported: Path, other: Path) -> None:
    with writer_lock(other), pytest.raises(IndexBusy):
        import_index(exported, other, overwrite=True)
    (other / MANIFEST).unlink()
    (other / "file").write_text("")
    with pytest.raises(ExchangeError, match="file is not a folder"):
        import_index(exported, other / "file")


def test_a_missing_package_is_named(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for call in (lambda: import_index(exported, tmp_path / "a"), lambda: export_index(tmp_path, tmp_path / "b")):
        with pytest.raises(MissingPackage, match=r"pyarrow, .* pip install 'echo-index\[parquet\]'"):
            call()


def contents_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_vectors_of_any_kind_that_have_length_one_are_kept(exported: Path, tmp_path: Path) -> None:
    """A vector that was not stored before is encoded like one that the encoder has given."""
    chance = np.random.default_rng(1)
    given = chance.standard_normal((pq.read_table(exported).num_rows, 32)).astype(np.float32)
    given /= np.linalg.norm(given, axis=1, keepdims=True)
    change = replace_column("vector", lambda values: values.__setitem__(slice(None), given.tolist()))
    pq.write_table(change(pq.read_table(exported)), tmp_path / "a.parquet")
    import_index(tmp_path / "a.parquet", tmp_path / "copy")
    snapshot = open_snapshot(tmp_path / "copy", index_device="cpu")
    stored = np.concatenate([block for _, block in snapshot.catalog.vectors(generation=1)])
    assert np.abs(stored - given).max() < 0.01
