"""A cluster of nodes in processes of their own on this machine, and documents of every kind."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from example_documents import pdf_file
from indexer_helpers import write

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
pytest.importorskip("ray", reason="builds on a cluster need ray")

from ray_cluster import TwoNodes
from ray_workers import Workers


@pytest.fixture(autouse=True)
def own_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take back the number of threads that a worker sets for its process."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")


@pytest.fixture(scope="package")
def running_cluster() -> Iterator[TwoNodes]:
    """Return a cluster for all tests of this folder."""
    cluster = TwoNodes()
    yield cluster
    cluster.shutdown()


@pytest.fixture
def cluster(running_cluster: TwoNodes, monkeypatch: pytest.MonkeyPatch) -> TwoNodes:
    """Return the cluster with two nodes, as the one that RAY_ADDRESS names."""
    running_cluster.start_second()
    monkeypatch.setenv("RAY_ADDRESS", running_cluster.address)
    return running_cluster


@pytest.fixture
def one_node(running_cluster: TwoNodes, monkeypatch: pytest.MonkeyPatch) -> TwoNodes:
    """Return the cluster with the one node that stays, which starts half as many workers."""
    if running_cluster.has_second:
        running_cluster.kill_second()
    monkeypatch.setenv("RAY_ADDRESS", running_cluster.address)
    return running_cluster


@pytest.fixture(scope="session")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of documents: with passages and without, in an archive, a copy, and one that cannot be read."""
    folder = tmp_path_factory.mktemp("distributed") / "docs"
    texts = {
        f"note{number}": f"# Note {number}\n\n"
        + " ".join(f"Whale {number} sings song {line} in the deep sea for {line + number} hours." for line in range(14))
        for number in range(24)
    }
    table = "| grain | hours |\n| --- | --- |\n" + "".join(f"| rye {n} and salt | {n} |\n" for n in range(12))
    write(folder, **texts, bread=f"---\nauthor: Ng\nyear: 1851\n---\n# Bread\n\nIt rises.\n\n{table}", empty=" \n\n")
    write(folder, deep__note1=texts["note1"], deep__other="No heading, and the file has the title.\n")
    (folder / "moon.pdf").write_bytes(pdf_file(["The moon is far away.", "Nobody lives there."]))
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    with zipfile.ZipFile(folder / "letters.zip", "w") as archive:
        for number in range(4):
            archive.writestr(f"letter{number}.md", f"# Letter {number}\n\nI came home at {number} o'clock.\n")
    return folder


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    """Return workers in this process, which engines use instead of a cluster."""
    workers = Workers()
    workers.replace_cluster(monkeypatch)
    return workers


@pytest.fixture
def folder(documents: Path, tmp_path: Path) -> Path:
    """Return documents of one's own."""
    shutil.copytree(documents, tmp_path / "docs")
    return tmp_path / "docs"
