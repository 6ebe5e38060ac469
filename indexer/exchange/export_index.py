"""Write all of an index to one Parquet file, a row a passage, so that it can be read elsewhere and imported again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, BinaryIO

from echo_index.embeddings.runtime.atomic_write import replace_file
from echo_index.errors import ExchangeError
from echo_index.indexer.catalog.catalog import CATALOG, Catalog
from echo_index.indexer.catalog.exchange_rows import (
    copy_catalog,
    documents_without_chunks,
    index_settings,
    is_current,
    passage_blocks,
)
from echo_index.indexer.exchange.description import METADATA_KEY, Description
from echo_index.indexer.exchange.parquet_library import load_pyarrow
from echo_index.indexer.exchange.passage_table import VECTORS, passage_schema, to_batch
from echo_index.indexer.generations.manifest import Manifest, with_needed_format
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.indexer.storage.safe_open import plain_reason

if TYPE_CHECKING:
    import pyarrow as pa

ExchangeProgress = Callable[[int, int], None]
"""Receives the number of passages that are done, and of all."""

_BLOCK = 4096  # passages in a row group: 10 MB of vectors with the default model
_LARGEST_DESCRIPTION = 50_000_000  # bytes; pyarrow reads no metadata above 100 MB, and stores ours twice
_UNCOUNTED = {"text", "anchors", "recognition", "text_hash", "fields"}  # columns whose smallest value says nothing


@dataclass(frozen=True, slots=True)
class ExchangeReport:
    """The file that was written or read, the folder of the index, and the numbers of its documents and chunks.

    `model` is the name of the model that the vectors are from.
    """

    file: str
    index: str
    documents: int
    chunks: int
    bytes: int
    model: str


def export_index(
    index_dir: Path,
    path: Path,
    *,
    normalized: bool = False,
    overwrite: bool = False,
    progress: ExchangeProgress = lambda done, total: None,
) -> ExchangeReport:
    """Write the newest complete generation of an index to a Parquet file, which `import_index` makes an index of.

    The file has a row for each passage. It appears when it is complete. The index is not changed, and may be searched
    and built meanwhile.

    Args:
        index_dir: the folder of the index.
        path: the file to write.
        normalized: whether a column `normalized_vector` is added: the vectors as search compares them, by their inner
            product. An import does not read it.
        overwrite: whether the file may replace one that is there.
        progress: receives the number of passages that are written, and of all.

    Raises:
        MissingPackage: pyarrow is not installed.
        ExchangeError: the file exists, and `overwrite` is false; or it cannot be written.
        IndexMissing: there is no complete index in the folder.
        IndexMismatch: a later version of echo-index wrote the index.
        IndexDamaged: the index cannot be read, or a vector is not as it was stored.
    """
    load_pyarrow()
    _validate_target(path, overwrite=overwrite)
    snapshot = open_snapshot(index_dir, index_device="cpu")
    manifest = snapshot.manifest
    with (
        closing(snapshot.catalog),
        _current(snapshot.catalog) as catalog,
        catalog.reading(generation=manifest.generation),
    ):
        documents = tuple(documents_without_chunks(catalog, generation=manifest.generation))
        if manifest.vector_index is not None:  # its file stays behind, and an import writes another
            manifest = with_needed_format(replace(manifest, vectors_file="", vector_index=None))
        description = Description(manifest, index_settings(catalog), documents)
        _write_file(path, catalog, description, normalized, progress)
    return exchange_report(path, index_dir, manifest)


def exchange_report(path: Path, index_dir: Path, manifest: Manifest) -> ExchangeReport:
    """Return the report on a file that holds the index with this manifest."""
    size, model = path.stat().st_size, str(manifest.encoder.get("model"))
    return ExchangeReport(str(path), str(index_dir), manifest.documents, manifest.chunks, size, model)


def _validate_target(path: Path, *, overwrite: bool) -> None:
    if path.is_dir():
        raise ExchangeError(f"{path} is a folder.", remedy="Name a file, such as index.parquet.")
    if path.exists() and not overwrite:
        raise ExchangeError(f"{path} exists already.", remedy="Name another file, or replace it with --overwrite.")
    if not path.parent.is_dir():
        raise ExchangeError(f"There is no folder {path.parent}.", remedy="Create it, or name another file.")


@contextmanager
def _current(catalog: Catalog) -> Iterator[Catalog]:
    """Return a catalog with the tables of this version: for an index of an earlier one, a copy that is deleted."""
    if is_current(catalog):
        yield catalog
        return
    with TemporaryDirectory(prefix="echo-index-export-") as folder:
        path = Path(folder) / CATALOG
        copy_catalog(catalog, path)
        with closing(Catalog(path, write=True)) as copy:
            yield copy


def _write_file(
    path: Path, catalog: Catalog, description: Description, normalized: bool, progress: ExchangeProgress
) -> None:
    metadata = description.as_bytes()
    if len(metadata) > _LARGEST_DESCRIPTION:
        raise ExchangeError(
            f"{len(description.documents)} documents have no passages, more than the description of a file can name.",
            remedy="Remove those that cannot be read: echo-index status names them, echo-index remove takes globs.",
        )
    schema = passage_schema(
        description.dimension,
        with_classical=catalog.keeps_classical_vectors,
        normalized=normalized,
        metadata={METADATA_KEY: metadata},
    )

    def write(unfinished: Path) -> None:
        with unfinished.open("wb") as file:
            _write_passages(file, schema, catalog, description, progress)

    try:
        replace_file(path, write, durable=True)
    except OSError as error:
        raise ExchangeError(
            f"{path} cannot be written: {plain_reason(error)}.",
            remedy="Free disk space, or name a file in another folder.",
        ) from None


def _write_passages(
    file: BinaryIO, schema: pa.Schema, catalog: Catalog, description: Description, progress: ExchangeProgress
) -> None:
    manifest, done = description.manifest, 0
    plain = [name for name in schema.names if name not in VECTORS]
    with load_pyarrow().parquet.ParquetWriter(
        file,
        schema,
        compression="zstd",
        use_dictionary=plain,
        write_statistics=[name for name in plain if name not in _UNCOUNTED],
        write_page_checksum=True,
    ) as writer:
        progress(done, manifest.chunks)
        for block in passage_blocks(
            catalog, generation=manifest.generation, dimension=description.dimension, block=_BLOCK
        ):
            writer.write_batch(to_batch(block, schema, manifest.normalizations.echo))
            done += len(block.chunks)
            progress(done, manifest.chunks)
