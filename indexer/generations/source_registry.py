"""What people said of an index that later builds go by: its sources, their patterns, and what they took out of it.

Kept in the settings of the catalog, named as documents are, so that the folder and its index can move together.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from echo_index.errors import IndexDamaged, SourceError
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.generations.recovery import catalog_path
from echo_index.indexer.sources.source import Source
from echo_index.indexer.storage.stored_paths import full_path, stored_path

_SOURCES = "sources"
_PATTERNS = "patterns"
_LEFT_OUT = "left_out"

_Patterns = dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
"""What is included and what is excluded, by the name of a source."""


def read_sources(index_dir: Path) -> list[str]:
    """Return the sources that builds of an index were given, as texts for `Source.parse`, in the order of their names.

    None are remembered where there is no index, or none that can be read.
    """
    try:
        with closing(Catalog(catalog_path(index_dir))) as catalog:
            return [str(full_path(name, index_dir)) for name in _names(catalog, _SOURCES)]
    except IndexDamaged:
        return []


def with_patterns(catalog: Catalog, index_dir: Path, sources: Sequence[Source]) -> list[Source]:
    """Return the sources of a build; one that is given no patterns has those of earlier builds."""
    known = _patterns(catalog)
    found = []
    for source in sources:
        include, exclude = known.get(_name(source, index_dir), ((), ()))
        found.append(source if source.include or source.exclude else replace(source, include=include, exclude=exclude))
    return found


def remember_sources(catalog: Catalog, index_dir: Path, sources: Sequence[Source]) -> None:
    """Note the sources of a build besides those of earlier ones, and forget what is not there any more."""
    now = {_name(source, index_dir): source for source in sources}
    before = {name for name in _names(catalog, _SOURCES) if _is_there(str(full_path(name, index_dir)))}
    _set_names(catalog, _SOURCES, before | now.keys())
    kept = {name: each for name, each in _patterns(catalog).items() if name in before - now.keys()}
    given = {name: (source.include, source.exclude) for name, source in now.items() if not source.takes_all}
    _set_patterns(catalog, kept | given)


def forget_sources(catalog: Catalog, names: Iterable[str]) -> None:
    """Forget the sources of these names: files that were removed from the index."""
    forgotten = {*names}
    _set_names(catalog, _SOURCES, {*_names(catalog, _SOURCES)} - forgotten)
    _set_patterns(catalog, {name: each for name, each in _patterns(catalog).items() if name not in forgotten})


def excluded_paths(catalog: Catalog) -> set[str]:
    """Return the documents that were removed, by their stored paths: a build of their folder leaves them out."""
    return {*_names(catalog, _LEFT_OUT)}


def set_excluded_paths(catalog: Catalog, paths: Iterable[str]) -> None:
    """Keep the stored paths of the documents that builds leave out."""
    _set_names(catalog, _LEFT_OUT, paths)


def copy_settings(old: Path, catalog: Catalog) -> None:
    """Take what is remembered in an old catalog over to the one that is to replace it."""
    try:
        with closing(Catalog(old)) as before:
            kept = {name: _names(before, name) for name in (_SOURCES, _LEFT_OUT)}
            patterns = _patterns(before)
    except IndexDamaged:
        return  # there was no index before, or none that can be read
    for name, names in kept.items():
        _set_names(catalog, name, names)
    _set_patterns(catalog, patterns)


def _name(source: Source, index_dir: Path) -> str:
    return stored_path(source.path / source.pattern, index_dir)


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


def _patterns(catalog: Catalog) -> _Patterns:
    stored = json.loads(catalog.setting(_PATTERNS) or "{}")
    return {name: (tuple(include), tuple(exclude)) for name, (include, exclude) in stored.items()}


def _set_patterns(catalog: Catalog, patterns: _Patterns) -> None:
    """Write the patterns, if they are others."""
    if patterns != _patterns(catalog):
        catalog.set_settings({_PATTERNS: json.dumps(patterns, ensure_ascii=False, sort_keys=True)})
