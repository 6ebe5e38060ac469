"""Images of pages: only of indexed, unchanged PDFs, and with limits on size, time and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from io import BytesIO
from pathlib import Path

import psutil
import pytest
from archive_files import tar_bytes, zip_bytes
from example_documents import pdf_file
from indexer_helpers import build, write
from PIL import Image

from echo_index.errors import DocumentError, MissingPackage
from echo_index.indexer.building.removal import remove_documents
from echo_index.indexer.generations.snapshot import Snapshot, open_snapshot
from echo_index.indexer.inspection import page_images
from echo_index.indexer.inspection.page_images import render_page
from echo_index.indexer.sandbox.process import Worker


@pytest.fixture
def snapshot(tmp_path: Path) -> Iterator[Snapshot]:
    (tmp_path / "two.pdf").write_bytes(pdf_file(["A page", "Another\npage"]))
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 no more of it")
    write(tmp_path, note="# A note\n\nIt has no pages.\n")
    build(tmp_path, tmp_path / "index")
    snapshot = open_snapshot(tmp_path / "index", index_device="cpu")
    with closing(snapshot.catalog):
        yield snapshot


def picture(content: bytes) -> Image.Image:
    with Image.open(BytesIO(content)) as opened:
        assert opened.format == "PNG"
        return opened.convert("L")


def dark(image: Image.Image) -> int:
    return sum(image.histogram()[:230])


def test_a_page_has_the_requested_width(snapshot: Snapshot) -> None:
    first, second = (picture(render_page(snapshot, "two.pdf", page, width=300)) for page in (1, 2))
    assert first.size == second.size == (300, 400)
    assert 0 < dark(first) < dark(second), "each has its own words"
    for width in (1, 7, 333, 799):
        assert picture(render_page(snapshot, "two.pdf", 1, width=width)).width == width


def test_a_page_of_a_member_of_an_archive_is_drawn_while_it_is_unchanged(tmp_path: Path) -> None:
    inner = tar_bytes({"other.pdf": pdf_file(["Other"]), "two.pdf": pdf_file(["A page", "Another\npage"])})
    (tmp_path / "a.zip").write_bytes(zip_bytes({"in.tar.gz": inner}))
    build(tmp_path / "a.zip", tmp_path / "index")
    snapshot = open_snapshot(tmp_path / "index", index_device="cpu")
    path = "a.zip!/in.tar.gz!/two.pdf"
    with closing(snapshot.catalog):
        assert dark(picture(render_page(snapshot, path, 2, width=300)))
        (tmp_path / "a.zip").write_bytes(zip_bytes({"in.tar.gz": tar_bytes({"two.pdf": pdf_file(["Changed"])})}))
        with pytest.raises(DocumentError, match=r"two\.pdf has changed since it was indexed"):
            render_page(snapshot, path, 2, width=300)


@pytest.mark.parametrize(
    ("points", "size"),
    [("14400 14400", (2000, 2000)), ("2 14400", (1, 4096)), ("14400 2", (4096, 1)), ("600 800", (1733, 2310))],
)
def test_the_size_of_an_image_is_limited(tmp_path: Path, points: str, size: tuple[int, int]) -> None:
    """A page of 200 inches has 14,400 points."""
    (tmp_path / "large.pdf").write_bytes(pdf_file(["Large"]).replace(b"0 0 600 800", f"0 0 {points}".encode()))
    build(tmp_path / "large.pdf", tmp_path / "index")
    snapshot = open_snapshot(tmp_path / "index", index_device="cpu")
    with closing(snapshot.catalog):
        drawn = picture(render_page(snapshot, "large.pdf", 1, width=1_000_000))
    assert drawn.size == size
    assert drawn.width * drawn.height <= 4_010_000


@pytest.mark.parametrize(
    ("path", "page", "message"),
    [
        ("two.pdf", 0, "two.pdf has the pages 1 to 2; there is no page 0"),
        ("two.pdf", 3, "there is no page 3"),
        ("two.pdf", -1, "there is no page -1"),
        ("note.md", 1, "note.md is not a PDF"),
        ("broken.pdf", 1, "broken.pdf is not a PDF that could be read"),
        ("new.pdf", 1, "There is no document new.pdf in this index"),
        ("../two.pdf", 1, "There is no document ../two.pdf in this index"),
    ],
)
def test_other_documents_and_pages_are_errors(
    tmp_path: Path, snapshot: Snapshot, path: str, page: int, message: str
) -> None:
    (tmp_path / "new.pdf").write_bytes(pdf_file(["not indexed"]))
    with pytest.raises(DocumentError) as caught:
        render_page(snapshot, path, page, width=100)
    assert message in caught.value.message


def test_a_width_below_one_pixel_is_an_error(snapshot: Snapshot) -> None:
    with pytest.raises(DocumentError, match="0 pixels wide"):
        render_page(snapshot, "two.pdf", 1, width=0)


def changed_in_length(file: Path) -> None:
    file.write_bytes(pdf_file(["A secret that is longer", "x"]))


def changed_in_a_letter(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"A page", b"B page"))


def larger_than_the_memory(file: Path) -> None:
    os.truncate(file, 1 << 42)


def a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize("change", [changed_in_length, changed_in_a_letter, larger_than_the_memory, a_pipe])
def test_a_changed_file_is_not_rendered(tmp_path: Path, snapshot: Snapshot, change: Callable[[Path], None]) -> None:
    change(tmp_path / "two.pdf")
    with pytest.raises(DocumentError, match=r"two\.pdf has changed since it was indexed"):
        render_page(snapshot, "two.pdf", 1, width=100)


def test_a_missing_or_removed_file_is_not_rendered(tmp_path: Path, snapshot: Snapshot) -> None:
    remove_documents(["two.pdf"], tmp_path / "index")
    assert render_page(snapshot, "two.pdf", 1, width=10), "this generation still holds it"
    after = open_snapshot(tmp_path / "index", index_device="cpu")
    with closing(after.catalog), pytest.raises(DocumentError, match="There is no document"):
        render_page(after, "two.pdf", 1, width=100)
    (tmp_path / "two.pdf").unlink()
    with pytest.raises(DocumentError, match=r"two\.pdf cannot be read: no such file"):
        render_page(snapshot, "two.pdf", 1, width=100)


def test_threads_can_render_concurrently(snapshot: Snapshot) -> None:
    alone = [render_page(snapshot, "two.pdf", page, width=200) for page in (1, 2)]
    with ThreadPoolExecutor(8) as pool:
        drawn = [pool.submit(render_page, snapshot, "two.pdf", 1 + n % 2, width=200) for n in range(40)]
        assert [future.result() for future in drawn] == alone * 20


def endless_page() -> bytes:
    """Return a PDF with a second page that takes minutes to render."""
    square = "0 0 m 300 900 600 900 600 0 c 300 -900 0 900 0 0 c f "
    return pdf_file(["Quick", f"Slow) Tj ET {square * 60_000} BT ("])


def test_rendering_stops_after_a_time_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow.pdf").write_bytes(endless_page())
    build(tmp_path, tmp_path / "index")
    snapshot = open_snapshot(tmp_path / "index", index_device="cpu")
    worker = Worker(seconds=1, memory_bytes=2**30)
    monkeypatch.setattr(page_images, "_worker", worker)
    with closing(snapshot.catalog), closing(worker):
        with pytest.raises(DocumentError, match=r"^Drawing page 2 of slow\.pdf took longer than 1 second\.$"):
            render_page(snapshot, "slow.pdf", 2, width=1600)
        assert worker.pid is None
        assert dark(picture(render_page(snapshot, "slow.pdf", 1, width=300))), "by another process"


def test_rendering_stops_at_a_memory_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spaces = " " * (200 * 2**20)
    (tmp_path / "large.pdf").write_bytes(pdf_file([f"Large) Tj ET {spaces} BT ("], compress=True))
    (tmp_path / "small.pdf").write_bytes(pdf_file(["Small"]))
    build(tmp_path, tmp_path / "index")
    snapshot = open_snapshot(tmp_path / "index", index_device="cpu")
    worker = Worker(seconds=20, memory_bytes=2**27)
    monkeypatch.setattr(page_images, "_worker", worker)
    reasons = r"takes more than 0\.1 GB of memory|crashed its reader \(.*\)|was given up: .* takes too much memory"
    message = rf"^Drawing page 1 of large\.pdf ({reasons})\.$"
    with closing(snapshot.catalog), closing(worker):
        with pytest.raises(DocumentError, match=message):
            render_page(snapshot, "large.pdf", 1, width=300)
        assert dark(picture(render_page(snapshot, "small.pdf", 1, width=300))), "by another process"


def test_the_rendering_process_ends_with_its_parent(tmp_path: Path, snapshot: Snapshot) -> None:
    """Programs without a main guard must work, too."""
    code = """
        import sys
        from pathlib import Path
        import psutil
        from echo_index.indexer.inspection.page_images import render_page
        from echo_index.indexer.generations.snapshot import open_snapshot
        render_page(open_snapshot(Path(sys.argv[1]), index_device="cpu"), "two.pdf", 1, width=9)
        print([child.pid for child in psutil.Process().children()])
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "index")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    [pid] = json.loads(run.stdout)
    assert not psutil.pid_exists(pid)


def test_a_missing_pillow_is_reported(tmp_path: Path, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "PIL.py").write_text("raise ImportError('There is no Pillow here.')")
    monkeypatch.syspath_prepend(tmp_path)
    page_images._worker.close()  # so that the next worker starts with the patched environment
    try:
        with pytest.raises(MissingPackage, match="Pillow"):
            render_page(snapshot, "two.pdf", 1, width=100)
    finally:
        page_images._worker.close()
