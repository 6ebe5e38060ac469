"""Find the newest complete generation from the manifest or, if that is damaged, from its copy in a catalog.

Every catalog stores a copy of the manifest of its newest complete generation, written just before the manifest file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from echo_index.errors import EchoIndexError, IndexDamaged, IndexMissing
from echo_index.indexer.catalog.catalog import CATALOG, Catalog
from echo_index.indexer.generations.manifest import MANIFEST, Manifest, read_manifest, write_manifest

_MANIFEST_SETTING = "manifest"
CATALOGS = "catalog*.sqlite"
"""A pattern for the names of catalogs."""


def complete_manifest(index_dir: Path, *, notice: Callable[[str], None] = lambda line: None) -> Manifest:
    """Return the manifest of the newest complete generation; `notice` receives one line if the file is damaged.

    Raises:
        IndexMissing: there is no complete index in the folder.
        IndexMismatch: a later version of echo-index wrote the index.
        IndexDamaged: the manifest is damaged, and no catalog has a copy.
    """
    try:
        return read_manifest(index_dir)
    except IndexDamaged as damage:
        copy = _newest_copy(index_dir)
        if copy is None:
            raise
        notice(f"{damage.message} Its copy in the catalog is used. {damage.remedy}")
        return copy


@dataclass(frozen=True, slots=True)
class VisibleGeneration:
    """The manifest of the newest complete generation, which readers see, or None.

    `finished_rebuild` is set if recovery has just completed the interrupted commit of a rebuild.
    """

    manifest: Manifest | None
    finished_rebuild: bool = False


def recover_commit(index_dir: Path) -> VisibleGeneration:
    """Complete an interrupted commit or repair a damaged manifest file, and return the visible generation.

    A writer that was killed after it had stored the catalog's copy of the manifest, but before it had written the file,
    had a complete generation. Catalogs of the first format have no copy; they get one with the next build. The caller
    holds the writer's lock.

    Raises:
        IndexMismatch: a later version of echo-index wrote the index.
        IndexDamaged: the manifest and the catalog are damaged.
        IndexUnwritable: the manifest file cannot be written.
    """
    damage: IndexDamaged | None = None
    written: Manifest | None = None
    try:
        written = read_manifest(index_dir)
    except IndexMissing:
        pass
    except IndexDamaged as error:
        damage = error
    copy = _newest_copy(index_dir)
    if copy is not None and (written is None or copy.generation > written.generation):
        write_manifest(index_dir, copy)
        before = written.catalog_file if written else CATALOG
        return VisibleGeneration(copy, finished_rebuild=damage is None and copy.catalog_file != before)
    if damage is not None and not _is_readable(index_dir / CATALOG):
        raise damage
    return VisibleGeneration(written)  # if None, the next build completes what the catalog holds


def store_manifest(catalog: Catalog, manifest: Manifest) -> None:
    """Store a copy of a manifest in its catalog and flush the whole catalog to the disk."""
    catalog.set_settings({_MANIFEST_SETTING: manifest.as_text()}, durable=True)


def stored_manifest(catalog: Catalog, index_dir: Path) -> Manifest | None:
    """Return the copy of the manifest in a catalog, or None if it never held a complete generation."""
    text = catalog.setting(_MANIFEST_SETTING)
    return None if text is None else Manifest.parse(text, path=index_dir / MANIFEST)


def catalog_path(index_dir: Path) -> Path:
    """Return the path of the catalog of the newest complete generation, or of a first build if none is complete."""
    try:
        return index_dir / complete_manifest(index_dir).catalog_file
    except (IndexMissing, IndexDamaged):
        return index_dir / CATALOG


def other_catalogs(index_dir: Path, current: str | None) -> Iterator[tuple[Path, bool]]:
    """Yield the readable catalogs except the current one, and whether each ever held a complete generation.

    One that did not belongs to an unfinished rebuild.
    """
    for path in sorted(index_dir.glob(CATALOGS)):
        if path.name != current:
            try:
                with closing(Catalog(path)) as catalog:
                    yield path, catalog.setting(_MANIFEST_SETTING) is not None
            except EchoIndexError:
                continue


def _is_readable(path: Path) -> bool:
    try:
        Catalog(path).close()
    except EchoIndexError:
        return False
    return True


def _newest_copy(index_dir: Path) -> Manifest | None:
    copies = []
    for path in index_dir.glob(CATALOGS):
        try:
            with closing(Catalog(path)) as catalog:
                manifest = stored_manifest(catalog, index_dir)
        except EchoIndexError:
            continue
        if manifest is not None and manifest.catalog_file == path.name:
            copies.append(manifest)
    return max(copies, key=lambda manifest: (manifest.generation, manifest.finished), default=None)
