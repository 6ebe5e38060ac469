"""Paths of documents as an index stores them."""

from __future__ import annotations

from pathlib import Path

import pytest

from echo_index.indexer.storage.stored_paths import full_path, stored_path


@pytest.mark.parametrize(
    ("path", "stored"),
    [
        ("/docs/a.md", "a.md"),
        ("/docs/deep/ä b.md", "deep/ä b.md"),
        ("/docs2/a.md", "/docs2/a.md"),
        ("/other/a.md", "/other/a.md"),
    ],
)
def test_a_path_is_stored_relative_to_the_folder_of_the_index(path: str, stored: str) -> None:
    index = Path("/docs/.echo-index")
    assert stored_path(Path(path), index) == stored
    assert full_path(stored, index) == Path(path)


def test_the_path_of_the_index_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert stored_path(tmp_path / "docs/a.md", Path(".echo-index")) == "docs/a.md"
    assert full_path("docs/a.md", Path(".echo-index")) == tmp_path / "docs/a.md"
    assert stored_path(tmp_path / "a.md", Path("docs/../.echo-index")) == "a.md"
