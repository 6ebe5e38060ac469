"""The one way in which a generation becomes visible: its vectors, then its manifest, then the old is swept away."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from indexer.catalog import Catalog
from indexer.manifest import Canary, Manifest, write_manifest
from indexer.means import Means
from indexer.records import Counts
from indexer.snapshot import index_vectors


def commit_generation(
    index_dir: Path,
    catalog: Catalog,
    *,
    generation: int,
    counts: Counts,
    fingerprint: str,
    encoder: dict[str, str | int | None],
    chunking: dict[str, int],
    means: Means,
    canaries: Sequence[Canary],
    before: Manifest | None,
) -> None:
    """Make a generation of the catalog the one that readers see. The caller holds the write lock.

    `counts` is what the generation holds, `before` the manifest that is replaced. Interrupted, readers go on with that.

    Raises:
        IndexDamaged: a chunk of the generation has no vector.
    """
    vectors_file = f"vectors-{generation}.faiss"
    vectors = index_vectors(catalog, generation=generation, count=counts.chunks, means=means)
    vectors.save(index_dir / vectors_file)
    write_manifest(
        index_dir,
        Manifest(
            generation=generation,
            fingerprint=fingerprint,
            encoder=encoder,
            chunking=chunking,
            documents=counts.documents,
            chunks=counts.chunks,
            vectors_file=vectors_file,
            finished=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            means=means,
            canaries=tuple(canaries),
        ),
    )
    _sweep(index_dir, catalog, vectors_file, before)


def _sweep(index_dir: Path, catalog: Catalog, vectors_file: str, before: Manifest | None) -> None:
    """Delete what only readers of a generation before the last one could still want."""
    kept = {vectors_file, before.vectors_file if before else ""}
    catalog.purge(before=before.generation if before else 0)
    for path in index_dir.glob("vectors-*.faiss"):
        if path.name not in kept:
            path.unlink()
