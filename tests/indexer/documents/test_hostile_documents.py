"""Hostile files among valid documents: a build indexes the valid ones and reports the others with reasons."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from hostile_files import NAMES, docx_file, plant_hostile
from indexer_helpers import build, documents, write
from repository import TESTS

from echo_index.errors import SourceError
from echo_index.indexer.building import document_sync
from echo_index.indexer.sandbox.document_reader import DocumentReader
from echo_index.indexer.sources.source import Source

INNOCENT = {"bread": "# Bread\n\nFlour, water, salt.\n", "whales": "# Whales\n\nDeep.\n", "z": "# Stars\n\nFar.\n"}

# Files that must be reported as failures. Those in neither set may be either.
FAILED = {
    "zeros.docx", "blanks.docx", "unpacks.docx", "elements.docx", "depth.docx", "laughs.docx", "truncated.docx",
    "none.pdf", "blank.pdf", "loop.pdf", "blanks.pdf", "words.pdf", "twice.pdf", "arrays.pdf", "truncated.pdf",
    "sparse.txt", "long-text.txt", "nul.txt", "circle.md", "circle2.md", "terabyte.tar.gz", "truncated.tar.gz",
}  # fmt: skip
READ = {
    "nested.docx", "climbs.docx", "objects.pdf", "count.pdf", "pages.pdf", "laughs.html", "laughs.xml", "line.txt",
    "no-spaces.txt", "brackets.py", "brackets.md", "heading.md", "latin1.txt", "late-nul.txt", "surrogate.html",
    "depth.html", "steers.txt", "utf16.txt", *NAMES, "0.md", "1.md", "2.md",
}  # fmt: skip
IGNORED = {"pipe.md", "socket.md", "device.md", "zero.md", "passwd.md", "parent", "self", "dangling.md"}

PROGRAM = """
    import json, re, sys, psutil
    from pathlib import Path
    from indexer_helpers import WordEncoder, build
    import faiss, sqlite3

    def peak():
        # getrusage would report the peak of the parent process.
        return int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

    before = peak()
    report = build(Path(sys.argv[1]), Path(sys.argv[2]))
    children = [child.pid for child in psutil.Process().children(recursive=True)]
    result = {"failures": report.failures, "peak": peak() - before, "children": children, "seconds": report.seconds}
    print(json.dumps(result))
"""


def built(folder: Path, index_dir: Path) -> dict[str, Any]:
    """Build in a new process and return the failures and the memory that the build took."""
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(folder), str(index_dir)],
        capture_output=True, text=True, check=True, cwd=TESTS,
    )  # fmt: skip
    return dict(json.loads(run.stdout.splitlines()[-1]))


def test_hostile_files_do_not_affect_other_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, index_dir = tmp_path / "docs", tmp_path / "index"
    write(folder, **INNOCENT)
    plant_hostile(folder)
    result = built(folder, index_dir)
    failures = {Path(path).name: reason for path, reason in result["failures"]}
    found = {Path(path).name: chunks for path, chunks in documents(index_dir).items()}
    assert found.keys() >= {f"{name}.md" for name in INNOCENT} | READ
    assert failures.keys() >= FAILED
    assert not failures.keys() & found.keys()
    assert not IGNORED & (failures.keys() | found.keys())
    assert result["children"] == []
    assert result["peak"] < 200, "megabytes"
    for reason in failures.values():
        assert re.fullmatch(r"[^\n\x00-\x1f]{5,200}", reason), reason
        assert str(tmp_path) not in reason
    assert failures["elements.docx"] == "Reading it takes more than 2.0 GB of memory."
    assert failures["depth.docx"] == "It is not a readable DOCX: excessive depth in document: 256."
    assert "root:" not in json.dumps(found)
    assert not (tmp_path / "climbed.md").exists()

    read_names: list[str] = []
    read = DocumentReader.read

    def record(self: DocumentReader, path: Path, **options: Any) -> Any:
        read_names.append(path.name)
        return read(self, path, **options)

    monkeypatch.setattr(DocumentReader, "read", record)
    (folder / "laughs.docx").write_bytes(docx_file(b"<w:p><w:r><w:t>Mended</w:t></w:r></w:p>"))
    (folder / "sparse.txt").write_text("Small now.\n")
    again = build(folder, index_dir)
    assert sorted(read_names) == ["laughs.docx", "sparse.txt"], "the others are unchanged"
    assert {Path(path).name for path, _ in again.failures} == failures.keys() - {"laughs.docx", "sparse.txt"}
    assert (again.changed, again.removed) == (2, 0)
    assert {Path(path).name for path in documents(index_dir)} == found.keys() | {"laughs.docx", "sparse.txt"}


def test_a_file_that_stays_too_large_counts_as_unchanged(tmp_path: Path) -> None:
    write(tmp_path / "docs", **INNOCENT)
    with (tmp_path / "docs/large.txt").open("wb") as file:
        file.truncate(1 << 30)
    first = build(tmp_path / "docs", tmp_path / "index")
    again = build(tmp_path / "docs", tmp_path / "index")
    assert first.failures == again.failures
    assert (again.added, again.changed, again.unchanged) == (0, 0, 4)


# Files that change or vanish


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "docs", **INNOCENT)
    bread, read = tmp_path / "docs/bread.md", DocumentReader.read

    def changed_after(self: DocumentReader, path: Path, **options: Any) -> Any:
        done = read(self, path, **options)
        if path == bread:
            bread.write_text("# Bread\n\nChanged while it was read.\n")
        return done

    with monkeypatch.context() as patch:
        patch.setattr(DocumentReader, "read", changed_after)
        build(tmp_path / "docs", tmp_path / "index")
    assert build(tmp_path / "docs", tmp_path / "index").changed == 1
    assert "Changed while" in str(documents(tmp_path / "index"))


def test_a_file_that_vanishes_before_it_is_read_counts_as_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs, index_dir = tmp_path / "docs", tmp_path / "index"
    write(docs, **INNOCENT)
    build(docs, index_dir)
    (docs / "new.md").write_text("New.\n")
    (docs / "bread.md").write_text("Changed, and gone.\n")
    scan = document_sync.scan

    def then_gone(*arguments: Any, **options: Any) -> Any:
        files = [*scan(*arguments, **options)]
        (docs / "new.md").unlink()
        (docs / "bread.md").unlink()
        yield from files

    monkeypatch.setattr(document_sync, "scan", then_gone)
    report = build(docs, index_dir)
    assert report.failures == []
    assert (report.added, report.changed, report.removed) == (0, 0, 1)
    assert len(documents(index_dir)) == 2


@pytest.mark.parametrize("back", [True, False])
def test_documents_of_a_folder_that_vanishes_during_the_scan_stay_indexed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, back: bool
) -> None:
    docs, other, index_dir = tmp_path / "docs", tmp_path / "other", tmp_path / "index"
    write(docs, **INNOCENT)
    write(other, more="# More\n\nText.\n")
    build([docs, other], index_dir)
    before = documents(index_dir)
    scan = document_sync.scan

    def then_unplugged(*arguments: Any, **options: Any) -> Any:
        for number, file in enumerate(scan(*arguments, **options)):
            if number == 1:
                docs.rename(tmp_path / "unplugged")
            yield file

    with monkeypatch.context() as patch:
        patch.setattr(document_sync, "scan", then_unplugged)
        with pytest.raises(SourceError, match=r"docs disappeared while it was being read") as caught:
            build([docs, other], index_dir)
    assert caught.value.remedy
    assert documents(index_dir) == before
    if back:
        (tmp_path / "unplugged").rename(docs)
        report = build([docs, other], index_dir)
        assert (report.added, report.changed, report.unchanged, report.removed) == (0, 0, 4, 0)
    else:
        with pytest.raises(SourceError, match="There is no file or folder"):
            Source.parse(str(docs))
