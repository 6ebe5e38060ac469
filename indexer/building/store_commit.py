"""Commit a generation whose passages are in a store alone: its documents here, its passages from parts to the store."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from echo_index.indexer.catalog.catalog import CATALOG, Catalog
from echo_index.indexer.catalog.exchange_rows import CatalogFilling
from echo_index.indexer.catalog.generation_summary import count_chunks, document_failures, generation_counts
from echo_index.indexer.catalog.outside_documents import outside_keys
from echo_index.indexer.generations.commit import remove_replaced_files
from echo_index.indexer.stores.publishing import publish_index, remembered_store
from echo_index.indexer.vectors.normalization_estimate import estimate_normalizations

if TYPE_CHECKING:
    from echo_index.indexer.building.build_session import BuildSession
    from echo_index.indexer.building.passage_sink import PassageParts
    from echo_index.indexer.vectors.normalization import NormalizationPair

_SAMPLE = 4096  # passages that the normalization is estimated from


def commit_to_store(session: BuildSession, parts: PassageParts) -> None:
    """Make the new generation the one of the folder if anything has changed, and publish it.

    The normalization is that of the first build, estimated from a sample: the vectors in the store have it applied.

    Raises:
        StoreError: the store cannot be reached. The next build publishes what is missing there.
    """
    parts.flush()
    catalog, report, before = session.catalog, session.report, session.before
    changed = before is None or catalog.differs_in(session.generation)
    generation = session.generation if changed else session.generation - 1
    counts = generation_counts(catalog, generation=generation)
    report.embedded = parts.count
    report.documents, report.chunks = counts.documents, counts.chunks
    report.failures += document_failures(catalog, generation=generation)
    if changed:
        normalizations = before.normalizations if before else _estimated(session, parts)
        session.make_visible(generation, counts, normalizations, store=str(remembered_store(catalog)))
    else:
        remove_replaced_files(session.index_dir, catalog)
    report.published = publish_index(
        session.index_dir,
        catalog,
        blocks=parts.blocks,
        on_published=lambda done, total: session.progress("publishing", done, total),
    )


def _estimated(session: BuildSession, parts: PassageParts) -> NormalizationPair:
    with _sample_catalog(session, parts) as sample:
        return estimate_normalizations(
            sample,
            None,
            generation=1,
            count=count_chunks(sample, generation=1),
            encoder=session.encoder,
            on_progress=partial(session.progress, "normalizing"),
        )


@contextmanager
def _sample_catalog(session: BuildSession, parts: PassageParts) -> Iterator[Catalog]:
    """Return a temporary catalog of all documents, or of some that are drawn at random."""
    keys = outside_keys(session.catalog, generation=session.generation)
    if session.report.chunks > _SAMPLE:
        random.Random(0).shuffle(keys)
    with (
        tempfile.TemporaryDirectory(prefix="echo-index-sample-") as folder,
        closing(Catalog(Path(folder) / CATALOG, create=True)) as sample,
    ):
        filling = CatalogFilling(sample, {}, generation=1)
        for block in parts.sample(keys, most=_SAMPLE):
            filling.add_block(block)
        yield sample
