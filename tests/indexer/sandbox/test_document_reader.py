"""Documents are read in a child process: results, limits, and no process left behind."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import psutil
import pytest
from example_documents import pdf_file

from echo_index.errors import SourceError
from echo_index.indexer.documents.formats import read_document
from echo_index.indexer.sandbox.document_reader import DocumentReader, ReadingLimits
from echo_index.indexer.sandbox.process import WorkerStopped

MEGABYTE = 2**20
SLOW = b"A line of text.\n\n" * 400_000  # docutils needs half a minute for it


@pytest.fixture
def reader() -> Iterator[DocumentReader]:
    with DocumentReader() as reader:
        yield reader


def put(folder: Path, name: str, content: str | bytes = "Some text.\n") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def reason(reader: DocumentReader, path: Path) -> str:
    failure = reader.read(path).failure
    assert failure
    return failure.message


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def wait_until_gone(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_running(pid)


def wait_until_busy(pid: int) -> None:
    """Wait until a process has computed for a third of a second more, so that it is in the middle of a document."""
    deadline = time.monotonic() + 20
    start = psutil.Process(pid).cpu_times().user
    while psutil.Process(pid).cpu_times().user < start + 0.3:
        assert time.monotonic() < deadline
        time.sleep(0.02)


# Results


@pytest.mark.parametrize("name", ["a.md", "caf\udce9.md", "new\nline.md"])
def test_the_result_is_the_same_as_in_this_process(tmp_path: Path, reader: DocumentReader, name: str) -> None:
    path = put(tmp_path, name, "---\ntitle: Größe 🦊\n---\n# One\n\n## Two\n")
    os.utime(path, ns=(1, 123_456_789_012_345_678))
    read = reader.read(path)
    assert read.document == read_document(path)
    assert [heading.title for heading in read_document(path).headings] == ["One", "Two"]
    assert (read.size, read.modified_ns, read.failure) == (path.stat().st_size, 123_456_789_012_345_678, None)
    assert read.hash == hashlib.sha256(path.read_bytes()).hexdigest()


def test_pages_are_transferred(tmp_path: Path, reader: DocumentReader) -> None:
    path = put(tmp_path, "a.pdf", pdf_file(["One", "Two"], title="T", outline=[("Two", 1)]))
    assert reader.read(path).document == read_document(path)
    assert len(read_document(path).pages) == 2


def test_content_with_a_known_hash_is_not_parsed(tmp_path: Path, reader: DocumentReader) -> None:
    path = put(tmp_path, "a.pdf", b"%PDF-1.7 truncated")
    first = reader.read(path)
    assert first.failure
    known = reader.read(path, known_hash=first.hash)
    assert (known.hash, known.document, known.failure) == (first.hash, None, None)
    path.write_bytes(pdf_file(["Repaired"]))
    repaired = reader.read(path, known_hash=first.hash).document
    assert repaired
    assert repaired.text == "Repaired"


def test_one_process_reads_many_files(tmp_path: Path) -> None:
    with DocumentReader() as reader:
        assert reader._worker.pid is None, "it starts when it is needed"
        pids = {reader.read(put(tmp_path, f"{n}.md")) and reader._worker.pid for n in range(20)}
    [pid] = pids
    assert pid
    assert not psutil.pid_exists(pid)


def test_nothing_is_imported_from_the_current_folder(
    tmp_path: Path, reader: DocumentReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("json", "markdown_it", "indexer", "signal"):
        put(tmp_path, f"{module}.py", "raise SystemExit('imported')\n")
    put(tmp_path, "a.md")
    monkeypatch.chdir(tmp_path)
    assert reader.read(Path("a.md")).document


# Files that cannot be read


def test_a_missing_file_raises_file_not_found(tmp_path: Path, reader: DocumentReader) -> None:
    for path in (tmp_path / "a.md", put(tmp_path, "file") / "a.md"):
        with pytest.raises(FileNotFoundError):
            reader.read(path)
    assert reader.read(put(tmp_path, "b.md")).document


def test_what_is_not_a_regular_file_has_no_hash(tmp_path: Path, reader: DocumentReader) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    for path in (tmp_path / "pipe.md", tmp_path, Path("/dev/zero")):
        read = reader.read(path)
        assert (read.hash, read.document) == ("", None)
        assert read.failure
        assert read.failure.message == "It is not a file."


def test_a_link_that_replaced_a_file_is_not_followed(tmp_path: Path, reader: DocumentReader) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").mkdir()
    path, secret = put(tmp_path / "inside", "a.md"), put(tmp_path / "outside", "a.md", "A secret.")
    link = tmp_path / "inside/link.txt"
    link.symlink_to(path)
    found = os.path.realpath(path)
    linked = reader.read(link, real_path=found).document
    assert linked
    assert (linked.title, linked.format) == ("link", "text")
    path.unlink()
    path.symlink_to(secret)
    failure = reader.read(path, real_path=found).failure
    assert failure
    assert failure.message == "It was replaced by a link after it was found."
    path.unlink()
    (tmp_path / "inside/link.txt").unlink()
    (tmp_path / "inside").rmdir()
    (tmp_path / "inside").symlink_to(tmp_path / "outside")
    failure = reader.read(path, real_path=found).failure
    assert failure
    assert failure.message == "It was replaced by a link after it was found."


# Limits


def test_after_a_timeout_the_next_file_is_read(tmp_path: Path) -> None:
    slow, quick = put(tmp_path, "slow.rst", SLOW), put(tmp_path, "quick.md")
    with DocumentReader(ReadingLimits(seconds=1)) as reader:
        assert reader.read(quick).document
        before, started = reader._worker.pid, time.monotonic()
        read = reader.read(slow)
        assert time.monotonic() - started < 5
        assert read.failure
        assert read.failure.message == "Reading it took longer than 1 second."
        assert read.hash == hashlib.sha256(SLOW).hexdigest()
        assert before
        assert not psutil.pid_exists(before)
        assert reader.read(quick).document
        assert reader._worker.pid != before
        time.sleep(1.5)
        assert reader.read(quick).document, "time counts only while a file is read"


def test_after_running_out_of_memory_the_next_file_is_read(tmp_path: Path) -> None:
    large, small = put(tmp_path, "large.txt", "🦊".encode() * (10 * MEGABYTE)), put(tmp_path, "small.txt")
    with DocumentReader(ReadingLimits(memory_bytes=205 * MEGABYTE)) as reader:
        read = reader.read(large)
        assert read.hash
        assert read.failure
        assert read.failure.message == "Reading it takes more than 0.2 GB of memory."
        assert reader.read(small).document


def test_after_a_crash_the_next_file_is_read(tmp_path: Path, reader: DocumentReader) -> None:
    slow, quick = put(tmp_path, "slow.rst", SLOW), put(tmp_path, "quick.md")
    assert reader.read(quick).document
    assert reader._worker.pid
    Timer(0.5, os.kill, [reader._worker.pid, signal.SIGSEGV]).start()
    assert reason(reader, slow) == "Reading it crashed its reader (SIGSEGV)."
    assert reader.read(quick).document
    assert reader._worker.pid
    os.kill(reader._worker.pid, signal.SIGKILL)  # between two files
    assert wait_until_gone(reader._worker.pid, 5)
    assert reader.read(quick).document


def test_a_file_that_is_too_large_is_not_hashed(tmp_path: Path) -> None:
    path = put(tmp_path, "a.txt", "")
    os.truncate(path, 1 << 40)
    with DocumentReader() as reader:
        read = reader.read(path)
    assert read.failure
    assert read.failure.message == "It is too large: 1048576.0 MB; the limit is 64.0 MB."
    assert read.hash == ""


def test_the_error_for_a_long_text_names_its_length_and_the_limit(tmp_path: Path) -> None:
    path = put(tmp_path, "a.txt", "x" * 1001)
    with DocumentReader(ReadingLimits(characters=1000)) as reader:
        assert reason(reader, path) == "It is too long: 1,001 characters; the limit is 1,000."
        path.write_text("x" * 1000)
        assert reader.read(path).document


def test_large_valid_files_are_within_the_limits(tmp_path: Path, reader: DocumentReader) -> None:
    lines = "\n".join(f"Line {number} of a page, with some words in it" for number in range(40))
    read = reader.read(put(tmp_path, "book.pdf", pdf_file([lines] * 2000))).document
    assert read
    assert len(read.pages) == 2000
    read = reader.read(put(tmp_path, "large.txt", "🦊".encode() * (15 * MEGABYTE))).document
    assert read
    assert len(read.text) == 15 * MEGABYTE
    too_long = reason(reader, put(tmp_path, "ascii.txt", b"word " * (12 * MEGABYTE)))
    assert too_long == "It is too long: 62,914,560 characters; the limit is 16,000,000."


def test_long_titles_are_truncated_and_too_many_headings_rejected(tmp_path: Path, reader: DocumentReader) -> None:
    """A heading is stored with each chunk below it, so a long one would need quadratic space."""
    read = reader.read(put(tmp_path, "a.md", f"# {'word ' * 10_000}\n\nText.\n")).document
    assert read
    assert [len(read.title), len(read.headings[0].title)] == [500, 500]
    many = put(tmp_path, "b.html", "<h1>a</h1>" * 250_001)
    assert reason(reader, many) == "It has 250,001 headings; the limit is 250,000."


def test_output_of_a_library_is_not_a_reply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chatty = """
        import os, sys
        def detect_all(content, **options):
            print("chatter " * 100_000, flush=True)
            os.write(1, b"more of it" * 100_000)
            assert sys.stdin.read() == ""
            raise RecursionError("too deep")
    """
    put(tmp_path, "chardet.py", textwrap.dedent(chatty))
    monkeypatch.syspath_prepend(tmp_path)
    with DocumentReader(ReadingLimits(seconds=5)) as reader:
        assert reason(reader, put(tmp_path, "a.txt", b"\xff\xe9")) == "Reading it crashed its reader (RecursionError)."
        assert reader.read(put(tmp_path, "b.txt")).document


# No process is left behind


def test_stop_ends_the_current_read_and_all_later_ones(tmp_path: Path) -> None:
    """The document gets no failure: nothing is wrong with it."""
    slow, quick = put(tmp_path, "slow.rst", SLOW), put(tmp_path, "quick.md")
    with DocumentReader() as reader:
        assert reader.read(quick).document
        pid = reader._worker.pid
        assert pid
        Timer(0.5, reader.stop).start()
        started = time.monotonic()
        with pytest.raises(WorkerStopped):
            reader.read(slow)
        assert time.monotonic() - started < 5
        assert wait_until_gone(pid, 1)
        with pytest.raises(WorkerStopped):
            reader.read(quick)


def test_a_process_that_does_not_start_is_not_a_document_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise an index would lose all its documents in a broken environment."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with DocumentReader() as reader, pytest.raises(SourceError, match="does not start") as caught:
        reader.read(put(tmp_path, "a.md"))
    assert type(caught.value) is SourceError


def start(tmp_path: Path, code: str) -> subprocess.Popen[str]:
    """Start a program in a new process group, as a terminal would."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


READS_SLOWLY = """
    import sys
    from pathlib import Path
    from echo_index.indexer.sandbox.document_reader import DocumentReader, ReadingLimits
    folder = Path(sys.argv[1])
    with DocumentReader(ReadingLimits(seconds=2)) as reader:
        reader.read(folder / "quick.md")
        print(reader._worker.pid, flush=True)
        reader.read(folder / "slow.rst")
"""


def test_ctrl_c_ends_the_reader_and_its_process_at_once(tmp_path: Path) -> None:
    put(tmp_path, "slow.rst", SLOW)
    put(tmp_path, "quick.md")
    program = start(tmp_path, READS_SLOWLY)
    assert program.stdout
    pid = int(program.stdout.readline())
    wait_until_busy(pid)
    started = time.monotonic()
    os.killpg(program.pid, signal.SIGINT)
    _, errors = program.communicate(timeout=10)
    assert time.monotonic() - started < 3
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert wait_until_gone(pid, 1)


def test_a_process_whose_parent_was_killed_in_the_middle_of_a_document_ends(tmp_path: Path) -> None:
    """An alarm ends it five seconds after the time limit."""
    put(tmp_path, "slow.rst", SLOW)
    put(tmp_path, "quick.md")
    program = start(tmp_path, READS_SLOWLY)
    assert program.stdout
    pid = int(program.stdout.readline())
    wait_until_busy(pid)
    program.kill()
    program.communicate()
    assert is_running(pid)
    assert wait_until_gone(pid, 9)


def test_an_idle_process_ends_with_its_parent(tmp_path: Path) -> None:
    put(tmp_path, "quick.md")
    code = READS_SLOWLY.replace('reader.read(folder / "slow.rst")', "import time; time.sleep(60)")
    program = start(tmp_path, code)
    assert program.stdout
    pid = int(program.stdout.readline())
    program.kill()
    program.communicate()
    assert wait_until_gone(pid, 2)
