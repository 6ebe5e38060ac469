"""Which generation is the newest complete one: the manifest tells, and where it is damaged the catalog does.

Every catalog keeps a copy of the manifest of its newest complete generation, written just before the manifest itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from echo_index.errors import EchoIndexError, IndexDamaged, IndexMissing
from echo_index.indexer.catalog.catalog import CATALOG, Catalog
from echo_index.indexer.generations.manifest import MANIFEST, Manifest, read_manifest, write_manifest

_KEPT = "manifest"
_CATALOGS = "catalog*.sqlite"


def complete_manifest(index_dir: Path, *, notice: Callable[[str], None] = lambda line: None) -> Manifest:
    """Return the manifest of the newest complete generation; `notice` is told where it had to come from the catalog.

    Raises:
        IndexMissing: there is no complete index in the folder.
        IndexMismatch: the index has a format of a later version.
        IndexDamaged: the manifest is damaged, and the catalog too.
    """
    try:
        return read_manifest(index_dir)
    except IndexDamaged as damage:
        kept = _newest_kept(index_dir)
        if kept is None:
            raise
        notice(f"{damage.message} Its copy in the catalog is used. {damage.remedy}")
        return kept


@dataclass(frozen=True, slots=True)
class VisibleGeneration:
    """What readers see: the manifest of the newest complete generation, None where there is none.

    `finished_rebuild`: it became that just now, and has a catalog of its own: a rebuild had lacked its last step.
    """

    manifest: Manifest | None
    finished_rebuild: bool = False


def recover_commit(index_dir: Path) -> VisibleGeneration:
    """Return what readers see from now on: the newest complete manifest, and its file holds it.

    A writer that was killed between the catalog's copy and the file had completed its generation; a damaged file is
    mended. Catalogs of the first format keep no copy: then there is none until the next build. The caller holds the
    write lock.

    Raises:
        IndexMismatch, IndexDamaged, IndexUnwritable: as for reading and writing it.
    """
    damage: IndexDamaged | None = None
    written: Manifest | None = None
    try:
        written = read_manifest(index_dir)
    except IndexMissing:
        pass
    except IndexDamaged as error:
        damage = error
    kept = _newest_kept(index_dir)
    if kept is not None and (written is None or kept.generation > written.generation):
        write_manifest(index_dir, kept)
        before = written.catalog_file if written else CATALOG
        return VisibleGeneration(kept, finished_rebuild=damage is None and kept.catalog_file != before)
    if damage is not None and not _can_be_read(index_dir / CATALOG):
        raise damage
    return VisibleGeneration(written)  # or nothing, and the next build completes what the catalog holds


def store_manifest(catalog: Catalog, manifest: Manifest) -> None:
    """Keep a copy of a manifest in its catalog. When this returns, all that the catalog holds is on the disk."""
    catalog.set_settings({_KEPT: manifest.as_text()}, durable=True)


def stored_manifest(catalog: Catalog, index_dir: Path) -> Manifest | None:
    """Return the copy that a catalog keeps, None where it never was complete."""
    text = catalog.setting(_KEPT)
    return None if text is None else Manifest.parse(text, path=index_dir / MANIFEST)


def catalog_path(index_dir: Path) -> Path:
    """Return where the catalog of the newest complete generation lies, or will lie where none is complete yet."""
    try:
        return index_dir / complete_manifest(index_dir).catalog_file
    except (IndexMissing, IndexDamaged):
        return index_dir / CATALOG


def other_catalogs(index_dir: Path, current: str | None) -> Iterator[tuple[Path, bool]]:
    """Yield the catalogs besides the current one, and whether each was complete once: else it is being rebuilt.

    One that cannot be read counts as neither, and is not among them.
    """
    for path in sorted(index_dir.glob(_CATALOGS)):
        if path.name != current:
            try:
                with closing(Catalog(path)) as catalog:
                    yield path, catalog.setting(_KEPT) is not None
            except EchoIndexError:
                continue


def _can_be_read(path: Path) -> bool:
    try:
        Catalog(path).close()
    except EchoIndexError:
        return False
    return True


def _newest_kept(index_dir: Path) -> Manifest | None:
    kept = []
    for path in index_dir.glob(_CATALOGS):
        try:
            with closing(Catalog(path)) as catalog:
                manifest = stored_manifest(catalog, index_dir)
        except EchoIndexError:
            continue
        if manifest is not None and manifest.catalog_file == path.name:
            kept.append(manifest)
    return max(kept, key=lambda manifest: (manifest.generation, manifest.finished), default=None)
