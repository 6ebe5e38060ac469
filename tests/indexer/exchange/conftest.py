"""An index with all that an index can hold, and its file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from example_documents import pdf_file
from indexer_helpers import build, write

pytest.importorskip("pyarrow", reason="exports and imports need pyarrow")

from echo_index.indexer.building.removal import remove_documents
from echo_index.indexer.exchange.export_index import export_index


@pytest.fixture(scope="session")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with notes of every kind, and their index in `index` inside of it."""
    folder = tmp_path_factory.mktemp("notes")
    sentences = " ".join(f"The whale number {n} sings in the deep sea for {n + 2} hours." for n in range(12))
    write(
        folder / "docs",
        whales="---\nauthor: Ng\nyear: 1851\ntags: [sea, song]\n---\n"
        + f"# Whales\n\n{sentences}\n\n## Songs\n\nThey are long.",
        bread="# Bread\n\nBread is flour, water and salt. It rises for hours.\n\n| grain | hours |\n| --- | --- |\n"
        + "".join(f"| rye {n} and salt | {n} |\n" for n in range(12)),
        deep__copy="# Bread\n\nBread is flour, water and salt. It rises for hours.\n",
        empty=" \n\n",
        gone="# Gone\n\nThis is taken out.\n",
    )
    (folder / "docs/moon.pdf").write_bytes(pdf_file(["The moon is far away.", "Nobody lives there."]))
    (folder / "docs/broken.pdf").write_bytes(b"%PDF-1.4 broken")
    (folder / "docs/picture.xyz").write_bytes(b"\0\1\2")
    with zipfile.ZipFile(folder / "docs/letters.zip", "w") as archive:
        archive.writestr("letter.md", "# Letter\n\nI came home at noon.\n")
    build(folder / "docs", folder / "index", compare=True, exclude=["*.tmp"])
    remove_documents(["docs/gone.md"], folder / "index")
    write(folder / "docs", last="# Last\n\nSomething was added.\n")
    build(folder / "docs", folder / "index")  # which deletes what was removed for good: no word of it counts for BM25
    return folder


@pytest.fixture(scope="session")
def exported(notes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Parquet file of that index."""
    path = tmp_path_factory.mktemp("exported") / "notes.parquet"
    export_index(notes / "index", path)
    return path
