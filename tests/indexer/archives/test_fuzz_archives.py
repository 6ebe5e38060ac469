"""Mutated archives give members or a reason, never a crash. ECHO_INDEX_SOAK=1 runs many more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from archive_files import tar_bytes, zip_bytes
from repository import SOAK

from echo_index.indexer.sandbox.archive_reader import KnownArchive, MemberListener, read_archive
from echo_index.indexer.sandbox.document_reader import DocumentReader, ReadFile, ReadingLimits
from echo_index.indexer.sources.member_patterns import MemberPatterns

EXAMPLES = 2000 if SOAK else 40
INNER = {"c.md": "# C\n\nDeep.\n", "Größe.txt": "Groß."}
SEEDS = {
    ".zip": zip_bytes({"a.md": "# A\n\nOne.\n" * 20, "b/c.csv": "x,y\n1,2\n", "in.tgz": tar_bytes(INNER)}),
    ".tar": tar_bytes(
        {"a.md": "# A\n\nOne.\n" * 20, "n" * 120 + ".txt": "long", "in.zip": zip_bytes(INNER)}, compression=""
    ),
    ".tar.gz": tar_bytes({"a.md": "# A\n\nOne.\n" * 20, "b.txt": "Two"}),
    ".tar.bz2": tar_bytes({"a.md": "# A\n\nOne.\n" * 20, "b.txt": "Two"}, compression="bz2"),
    ".tar.xz": tar_bytes({"a.md": "# A\n\nOne.\n" * 20, "b.txt": "Two"}, compression="xz"),
}


@pytest.fixture(scope="module")
def reader() -> Iterator[DocumentReader]:
    with DocumentReader(ReadingLimits(seconds=20, memory_bytes=2**30)) as reader:
        yield reader


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        yield Path(folder)


def mutated(content: bytes, random: Random) -> bytes:
    """Return the content after a few changes of bits, cuts, repetitions and insertions."""
    for _ in range(random.randint(1, 6)):
        at, length = random.randrange(len(content)), random.randrange(1, 40)
        piece = content[at : at + length]
        content = random.choice((
            content[:at] + bytes([content[at] ^ (1 << random.randrange(8))]) + content[at + 1 :],
            content[:at] + random.randbytes(length) + content[at + length :],
            content[:at] + piece * random.randint(2, 30) + content[at + length :],
            content[:at] + random.choice((b"\xff" * 8, b"\0" * 8, b"7" * 11, b"PK\1\2", b"../")) + content[at:],
            content[: max(1, at)],
        ))  # fmt: skip
    return content


@pytest.mark.parametrize("suffix", SEEDS)
def test_mutated_archives_are_read_or_rejected(folder: Path, reader: DocumentReader, suffix: str) -> None:
    pid = None
    for seed in range(EXAMPLES):
        path = folder / f"a{suffix}"
        path.write_bytes(SEEDS[suffix] if seed == 0 else mutated(SEEDS[suffix], Random(seed)))
        read: dict[str, ReadFile] = {}
        result = read_archive(
            reader, path, real_path="", patterns=MemberPatterns(path.name), known=KnownArchive(),
            listener=MemberListener(read.__setitem__, lambda name, reason: None),
        )  # fmt: skip
        assert read or seed
        pid = pid or reader._worker.pid
        assert reader._worker.pid == pid, f"seed {seed} crashed the process"
        assert all((each.document is None) == (each.failure is not None) for each in read.values())
        for failure in (result.file.failure, *(each.failure for each in read.values())):
            assert failure is None or re.fullmatch(r"[^\n\0]{5,250}\.", failure.message), (seed, failure)
            assert failure is None or "crashed" not in failure.message, (seed, failure)
        assert not any(".." in name.split("/") or name.startswith("/") for name in read)
