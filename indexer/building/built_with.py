"""With which encoder and chunking an index was started."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from echo_index.errors import IndexDamaged
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.generations.recovery import catalog_path


@dataclass(frozen=True)
class BuiltWith:
    """The encoder configuration and the chunking with which an index was started."""

    encoder: dict[str, str | int | None]
    chunking: Chunking

    @classmethod
    def parse(cls, text: str) -> BuiltWith:
        """Parse the JSON that the catalog stores."""
        fields = json.loads(text)
        return cls(encoder=fields["encoder"], chunking=Chunking(**fields["chunking"]))


def read_built_with(index_dir: Path) -> BuiltWith | None:
    """Return the settings of a complete or unfinished index, or None if there is no readable one."""
    try:
        with closing(Catalog(catalog_path(index_dir))) as catalog:
            settings = catalog.setting("built_with")
    except IndexDamaged:
        return None
    return None if settings is None else BuiltWith.parse(settings)
