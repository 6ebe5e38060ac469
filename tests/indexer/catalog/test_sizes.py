"""The sizes of the parts of a catalog."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from indexer_helpers import build, make_version_2, make_version_7, write

from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.sizes import CatalogSizes, catalog_sizes

_CODE = 10 + 2 * 1 + 32  # bytes of a vector of 32 dimensions


def sizes(path: Path) -> CatalogSizes:
    with closing(Catalog(path)) as catalog:
        return catalog_sizes(catalog)


def test_vectors_full_text_and_text_are_measured_in_every_version(tmp_path: Path) -> None:
    text = "# Whales\n\nThe whales of the sea are many."
    write(tmp_path, one=text, two=f"{text} And large.")
    build(tmp_path, tmp_path / ".index")
    path = tmp_path / ".index/catalog.sqlite"
    small = sizes(path)
    assert (small.vectors, small.text) == (2 * _CODE, 2 * len(text) + len(" And large."))
    assert 100 < small.full_text < 2000
    build(tmp_path, tmp_path / ".index", compare=True)
    assert sizes(path).vectors == 4 * _CODE
    make_version_7(path)
    assert sizes(path).vectors == 4 * 2 * 32
    assert sizes(path).text == small.text


def test_the_full_text_of_an_early_version_is_measured(tmp_path: Path) -> None:
    write(tmp_path, one="# Whales\n\nThe whales of the sea are many.")
    build(tmp_path, tmp_path / ".index")
    path = tmp_path / ".index/catalog.sqlite"
    make_version_2(path)
    assert sizes(path).full_text > 50
