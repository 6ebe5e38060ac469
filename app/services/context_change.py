"""Say what changing the context of an index means."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from echo_index.app.services.formatting import pluralize
from echo_index.errors import IndexDamaged
from echo_index.indexer.catalog.generation_summary import count_chunks


def context_change(index_dir: Path, context: str) -> str:
    """Return a sentence about the passages that a build with this context embeds again; '' if there are none."""
    from echo_index.indexer.catalog.catalog import Catalog
    from echo_index.indexer.catalog.index_context import stored_context
    from echo_index.indexer.generations.recovery import catalog_path

    try:
        with closing(Catalog(catalog_path(index_dir))) as catalog:
            before = stored_context(catalog) or ""
            count = count_chunks(catalog, generation=catalog.newest_generation())
    except IndexDamaged:
        return ""
    if context == before or not count:
        return ""
    if not context:
        change = f"The context “{before}” is taken back"
    else:
        change = f"The context was “{before}” and is now “{context}”" if before else f"The context is now “{context}”"
    passages = "the only passage is" if count == 1 else f"all {pluralize(count, 'passage')} are"
    return f"{change}: {passages} embedded again."
