"""Find what a build has to do, without doing it: files that are new or changed, and chunks that lack a vector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from echo_index.indexer.building.document_sync import READERS
from echo_index.indexer.building.seen_files import known_at_address
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.records import ChunkRow, DocumentRow
from echo_index.indexer.documents.formats import readers_version
from echo_index.indexer.generations.source_registry import excluded_paths
from echo_index.indexer.sources.scanner import FoundFile, RemoteFiles, scan
from echo_index.indexer.sources.source import Source
from echo_index.indexer.storage.stored_paths import stored_path


@dataclass(frozen=True, slots=True)
class PendingFile:
    """A file to read, its stored path, and the hash that it need not be parsed with; '' if it must be."""

    file: FoundFile
    path: str
    known_hash: str = ""


def pending_files(
    catalog: Catalog, index_dir: Path, sources: Sequence[Source], *, ocr: bool, keep_gone: bool, remote: RemoteFiles
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
    is_known = known_at_address({} if read_again else known)
    for file in scan(sources, ocr=ocr, skip=[index_dir], on_gone=on_gone, remote=remote, is_known=is_known):
        path = stored_path(file.path, index_dir)
        if path in excluded and path not in named:
            continue
        row = None if read_again else known.get(path)
        if row is None:
            yield PendingFile(file, path)
        elif (row.size, row.modified_ns) != (file.size, file.modified_ns):
            yield PendingFile(file, path, row.hash)


def unembedded_documents(catalog: Catalog, *, block: int) -> Iterator[list[tuple[DocumentRow, tuple[ChunkRow, ...]]]]:
    """Yield the chunks that lack a vector in lists of about `block`, with what is embedded of their documents.

    They are those of documents whose context has changed, and what an interrupted build has left.
    """
    after = -1
    while waiting := catalog.without_vector(after=after, limit=block):
        after = waiting[-1].id
        found = []
        for (path, title, format), stored in groupby(waiting, key=lambda item: (item.path, item.title, item.format)):
            row = DocumentRow(path, "", 0, 0, format, title, has_own_title=bool(title))
            found.append((row, tuple(item.chunk for item in stored)))
        yield found
