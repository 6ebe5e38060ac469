"""Find the files that a build has to read, without reading any: those that are new, or not as the catalog has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from echo_index.indexer.building.document_sync import READERS
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.documents.formats import readers_version
from echo_index.indexer.generations.source_registry import excluded_paths
from echo_index.indexer.sources.scanner import FoundFile, scan
from echo_index.indexer.sources.source import Source
from echo_index.indexer.storage.stored_paths import stored_path


@dataclass(frozen=True, slots=True)
class PendingFile:
    """A file to read, its stored path, and the hash that it need not be parsed with; '' if it must be."""

    file: FoundFile
    path: str
    known_hash: str = ""


def pending_files(
    catalog: Catalog, index_dir: Path, sources: Sequence[Source], *, ocr: bool, keep_gone: bool
) -> Iterator[PendingFile]:
    """Yield the files of the sources that `DocumentUpdate.run` would read, in its order.

    Raises:
        SourceError: a source cannot be read, or a glob matches nothing.
    """
    known = catalog.current_documents()
    read_again = catalog.setting(READERS) != readers_version(ocr=ocr)
    excluded = excluded_paths(catalog)
    named = {stored_path(source.path, index_dir) for source in sources if not source.pattern}
    on_gone = (lambda source, reason: None) if keep_gone else None
    for file in scan(sources, ocr=ocr, skip=[index_dir], on_gone=on_gone):
        path = stored_path(file.path, index_dir)
        if path in excluded and path not in named:
            continue
        row = None if read_again else known.get(path)
        if row is None:
            yield PendingFile(file, path)
        elif (row.size, row.modified_ns) != (file.size, file.modified_ns):
            yield PendingFile(file, path, row.hash)
