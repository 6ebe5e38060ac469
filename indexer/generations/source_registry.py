"""Remember the sources of an index, their patterns, what they skip, and the documents that were removed.

They are stored in the settings of the catalog under stored paths, so a folder can be moved together with its index.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath

from echo_index.errors import EchoIndexError, IndexDamaged, SourceError
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.index_context import change_context, stored_context
from echo_index.indexer.generations.recovery import catalog_path
from echo_index.indexer.generations.vector_file_build import copy_choice
from echo_index.indexer.sources.skipped_files import SkippedFiles
from echo_index.indexer.sources.source import Source
from echo_index.indexer.storage.stored_paths import full_name, full_path, stored_path
from echo_index.indexer.storage.urls import is_url

_SOURCES = "sources"
_PATTERNS = "patterns"
_EXCLUDED = "left_out"
_SKIPPED = "skipped"
_OCR = "ocr"
STORE, OWNER = "store", "store owner"
"""Settings of a catalog: where its generations are published, and what tells the index from others there."""
_PUBLISHED = (STORE, OWNER)
_IN_ARCHIVE = "skipped in "  # followed by the stored path of an archive

_Patterns = dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
"""The include and exclude patterns by the name of a source."""


def read_sources(index_dir: Path) -> list[str]:
    """Return the sources of all builds of an index as texts for `Source.parse`, ordered by name.

    The list is empty if there is no readable index.
    """
    try:
        with closing(Catalog(catalog_path(index_dir))) as catalog:
            return [full_name(name, index_dir) for name in _names(catalog, _SOURCES)]
    except IndexDamaged:
        return []


def deleted_files(index_dir: Path) -> list[str]:
    """Return the remembered sources that are single files, are in the index, and have been deleted from their folders.

    A file whose folder is gone, too, may be on a disk that is not connected. Nobody asks for those at an address.
    """
    try:
        with closing(Catalog(catalog_path(index_dir))) as catalog:
            documents = catalog.current_documents()
            names = [name for name in _names(catalog, _SOURCES) if name in documents and not is_url(name)]
    except IndexDamaged:
        return []
    paths = [full_path(name, index_dir) for name in names]
    return [str(path) for path in paths if not path.exists() and path.parent.is_dir()]


def remembered_sources(catalog: Catalog, index_dir: Path) -> list[Source]:
    """Return the sources of all builds with their patterns, ordered by name, also those that no longer exist."""
    patterns = _patterns(catalog)
    sources = []
    for name in _names(catalog, _SOURCES):
        include, exclude = patterns.get(name, ((), ()))
        sources.append(Source.remembered(full_name(name, index_dir), include=include, exclude=exclude))
    return sources


def with_patterns(catalog: Catalog, index_dir: Path, sources: Sequence[Source]) -> list[Source]:
    """Return the sources of a build; those without patterns get the patterns of earlier builds."""
    known = _patterns(catalog)
    result = []
    for source in sources:
        include, exclude = known.get(_name(source, index_dir), ((), ()))
        result.append(source if source.include or source.exclude else replace(source, include=include, exclude=exclude))
    return result


def remember_sources(
    catalog: Catalog,
    index_dir: Path,
    sources: Sequence[Source],
    *,
    keep_gone: bool = False,
    is_missing: Callable[[Source], bool] = lambda source: False,
) -> None:
    """Add the sources of a build to those of earlier builds, and forget sources that no longer exist.

    With `keep_gone`, only files that have been deleted are forgotten. `is_missing` returns whether nothing is at an
    address any more.
    """
    current = {_name(source, index_dir): source for source in sources if not source.is_deleted}
    deleted = {_name(source, index_dir) for source in sources if source.is_deleted}
    names = set(_names(catalog, _SOURCES)) - deleted
    others = names - current.keys()
    gone = set() if keep_gone else {name for name in others if not _exists(full_name(name, index_dir), is_missing)}
    earlier = names - gone
    _set_names(catalog, _SOURCES, earlier | current.keys())
    kept = {name: patterns for name, patterns in _patterns(catalog).items() if name in earlier - current.keys()}
    own = {name: (source.include, source.exclude) for name, source in current.items() if not source.takes_all}
    _set_patterns(catalog, kept | own)


def forget_sources(catalog: Catalog, names: Iterable[str]) -> None:
    """Forget the sources with these names: files that were removed from the index."""
    forgotten = {*names}
    _set_names(catalog, _SOURCES, {*_names(catalog, _SOURCES)} - forgotten)
    _set_patterns(catalog, {name: patterns for name, patterns in _patterns(catalog).items() if name not in forgotten})


def remember_skipped(catalog: Catalog, index_dir: Path, counts: Mapping[Source, SkippedFiles]) -> None:
    """Store the files that a build passed over, by source; those of other sources stay as they were."""
    skipped = _skipped(catalog)
    for source, count in counts.items():
        skipped[_name(source, index_dir)] = count
    _set_skipped(catalog, skipped)


def skipped_files(catalog: Catalog) -> SkippedFiles:
    """Return the files that the newest build of each remembered source passed over.

    Those of a source inside another one are counted with the outer one. There are none in an index of a version that
    did not count them.
    """
    names = {*_names(catalog, _SOURCES)}
    skipped = {name: count for name, count in _skipped(catalog).items() if name in names}
    return SkippedFiles.total(
        count
        for name, count in skipped.items()
        if not any(outer != name and PurePosixPath(name).is_relative_to(outer) for outer in skipped)
    )


def remembered_ocr(catalog: Catalog, wanted: bool | None) -> bool:
    """Return whether builds recognize pictures, and remember it if it is wanted or not; None asks what was wanted."""
    before = catalog.setting(_OCR) != "no"
    if wanted is None or wanted == before:
        return before
    catalog.set_settings({_OCR: "yes" if wanted else "no"})
    return wanted


def members_skipped(catalog: Catalog, archive: str) -> SkippedFiles:
    """Return the members of an archive that the newest build that opened it passed over."""
    return (
        SkippedFiles.parse(json.loads(stored)) if (stored := catalog.setting(_IN_ARCHIVE + archive)) else SkippedFiles()
    )


def remember_members_skipped(catalog: Catalog, archive: str, skipped: SkippedFiles) -> None:
    """Store the members of an archive that a build passed over, as later builds do not open it if it is unchanged."""
    if skipped != members_skipped(catalog, archive):
        catalog.set_settings({_IN_ARCHIVE + archive: json.dumps(asdict(skipped), ensure_ascii=False)})


def excluded_paths(catalog: Catalog) -> set[str]:
    """Return the stored paths of removed documents, which builds of their folder skip."""
    return {*_names(catalog, _EXCLUDED)}


def set_excluded_paths(catalog: Catalog, paths: Iterable[str]) -> None:
    """Store the paths of the documents that builds skip."""
    _set_names(catalog, _EXCLUDED, paths)


def settings_are_readable(catalog: Catalog, index_dir: Path, names: Iterable[str]) -> bool:
    """Return whether those settings of a catalog that this module reads have the form that it gives them.

    `names` are those of all settings.
    """
    try:
        remembered_sources(catalog, index_dir)
        lists = [_names(catalog, setting) for setting in (_SOURCES, _EXCLUDED)]
        skipped_files(catalog).sentences()
        for name in names:
            if name.startswith(_IN_ARCHIVE):
                members_skipped(catalog, name.removeprefix(_IN_ARCHIVE)).sentences()
    except (EchoIndexError, ValueError, TypeError, KeyError, AttributeError):
        return False
    return all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in lists)


def copy_settings(old: Path, catalog: Catalog) -> None:
    """Copy the settings of an old catalog that users made to the one that will replace it."""
    try:
        with closing(Catalog(old)) as before:
            lists = {setting: _names(before, setting) for setting in (_SOURCES, _EXCLUDED)}
            patterns, skipped, ocr = _patterns(before), _skipped(before), remembered_ocr(before, None)
            keeps_classical_vectors, context = before.keeps_classical_vectors, stored_context(before)
            is_store_only = before.keeps_passages_outside
            copy_choice(before, catalog)
            published = {name: value for name in _PUBLISHED if (value := before.setting(name)) is not None}
    except IndexDamaged:
        return  # there is no readable index to copy from
    for setting, names in lists.items():
        _set_names(catalog, setting, names)
    _set_patterns(catalog, patterns)
    _set_skipped(catalog, skipped)
    remembered_ocr(catalog, ocr)
    catalog.keep_classical_vectors(keeps_classical_vectors)
    if is_store_only and not catalog.current_documents():
        catalog.keep_passages_outside(True)
    catalog.set_settings(published)
    if context and stored_context(catalog) is None:  # an interrupted rebuild may have been given another one
        change_context(catalog, context, generation=catalog.newest_generation())


def _name(source: Source, index_dir: Path) -> str:
    return stored_path(source.path / source.pattern, index_dir)


def _exists(text: str, is_missing: Callable[[Source], bool]) -> bool:
    if is_url(text):
        return not is_missing(Source.remembered(text))
    try:
        Source.parse(text)
    except SourceError:
        return False
    return True


def _names(catalog: Catalog, setting: str) -> list[str]:
    names: list[str] = json.loads(catalog.setting(setting) or "[]")
    return names


def _set_names(catalog: Catalog, setting: str, names: Iterable[str]) -> None:
    """Store a list of names if it has changed: a build that finds nothing new must write nothing."""
    ordered = sorted(names)
    if ordered != _names(catalog, setting):
        catalog.set_settings({setting: json.dumps(ordered, ensure_ascii=False)})


def _patterns(catalog: Catalog) -> _Patterns:
    stored = json.loads(catalog.setting(_PATTERNS) or "{}")
    return {name: (tuple(include), tuple(exclude)) for name, (include, exclude) in stored.items()}


def _set_patterns(catalog: Catalog, patterns: _Patterns) -> None:
    if patterns != _patterns(catalog):
        catalog.set_settings({_PATTERNS: json.dumps(patterns, ensure_ascii=False, sort_keys=True)})


def _skipped(catalog: Catalog) -> dict[str, SkippedFiles]:
    stored = json.loads(catalog.setting(_SKIPPED) or "{}")
    return {name: SkippedFiles.parse(fields) for name, fields in stored.items()}


def _set_skipped(catalog: Catalog, skipped: Mapping[str, SkippedFiles]) -> None:
    known = {name: count for name, count in skipped.items() if count != SkippedFiles()}
    if known != _skipped(catalog):
        fields = {name: asdict(count) for name, count in known.items()}
        catalog.set_settings({_SKIPPED: json.dumps(fields, ensure_ascii=False, sort_keys=True)})
