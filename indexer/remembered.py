"""What people said of an index that later builds go by: its sources, and the documents they took out of it.

Kept in the settings of the catalog, named as documents are, so that the folder and its index can move together.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from echo_embeddings.errors import IndexDamaged, SourceError
from indexer.catalog import Catalog
from indexer.paths import full_path, stored_path
from indexer.recovery import catalog_path
from indexer.sources import Source

_SOURCES = "sources"
_LEFT_OUT = "left_out"


def read_sources(index_dir: Path) -> list[str]:
    """Return the sources that builds of an index were given, as texts for `Source.parse`, in the order of their names.

    None are remembered where there is no index, or none that can be read.
    """
    try:
        with closing(Catalog(catalog_path(index_dir))) as catalog:
            return [str(full_path(name, index_dir)) for name in _names(catalog, _SOURCES)]
    except IndexDamaged:
        return []


def remember_sources(catalog: Catalog, index_dir: Path, sources: Sequence[Source]) -> None:
    """Note the sources of a build besides those of earlier ones, and forget what is not there any more."""
    now = {stored_path(source.path / source.pattern, index_dir) for source in sources}
    before = {name for name in _names(catalog, _SOURCES) if _is_there(str(full_path(name, index_dir)))}
    _set_names(catalog, _SOURCES, before | now)


def forget_sources(catalog: Catalog, names: Iterable[str]) -> None:
    """Forget the sources of these names: files that were removed from the index."""
    _set_names(catalog, _SOURCES, {*_names(catalog, _SOURCES)} - {*names})


def left_out(catalog: Catalog) -> set[str]:
    """Return the documents that were removed, by their stored paths: a build of their folder leaves them out."""
    return {*_names(catalog, _LEFT_OUT)}


def set_left_out(catalog: Catalog, paths: Iterable[str]) -> None:
    """Keep the stored paths of the documents that builds leave out."""
    _set_names(catalog, _LEFT_OUT, paths)


def carry_over(old: Path, catalog: Catalog) -> None:
    """Take what is remembered in an old catalog over to the one that is to replace it."""
    try:
        with closing(Catalog(old)) as before:
            kept = {name: _names(before, name) for name in (_SOURCES, _LEFT_OUT)}
    except IndexDamaged:
        return  # there was no index before, or none that can be read
    for name, names in kept.items():
        _set_names(catalog, name, names)


def _is_there(text: str) -> bool:
    try:
        Source.parse(text)
    except SourceError:
        return False
    return True


def _names(catalog: Catalog, setting: str) -> list[str]:
    names: list[str] = json.loads(catalog.setting(setting) or "[]")
    return names


def _set_names(catalog: Catalog, setting: str, names: Iterable[str]) -> None:
    """Write a list of names, if it is another: a build that finds nothing new writes nothing."""
    ordered = sorted(names)
    if ordered != _names(catalog, setting):
        catalog.set_settings({setting: json.dumps(ordered, ensure_ascii=False)})
