"""Make an index of a Parquet file that `export_index` wrote. No model is needed, and nothing is embedded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from echo_index.errors import DocumentError, ExchangeError, IndexDamaged
from echo_index.indexer.catalog.catalog import CATALOG, Catalog, delete_catalog
from echo_index.indexer.catalog.exchange_rows import CatalogFilling
from echo_index.indexer.catalog.generation_summary import generation_counts
from echo_index.indexer.catalog.integrity_queries import duplicate_chunks
from echo_index.indexer.exchange.description import METADATA_KEY, Description, LaterFormat
from echo_index.indexer.exchange.export_index import ExchangeProgress, ExchangeReport, exchange_report
from echo_index.indexer.exchange.parquet_library import load_pyarrow
from echo_index.indexer.exchange.passage_rows import to_block
from echo_index.indexer.exchange.passage_table import CLASSICAL_VECTOR, COLUMNS, VECTOR
from echo_index.indexer.generations.commit import IMPORTING, commit_catalog
from echo_index.indexer.generations.manifest import FORMAT_VERSION, MANIFEST, Manifest
from echo_index.indexer.generations.recovery import CATALOGS, recover_commit
from echo_index.indexer.generations.source_registry import settings_are_readable
from echo_index.indexer.generations.vector_file_build import vectors_file
from echo_index.indexer.storage.atomic_write import translate_write_errors
from echo_index.indexer.storage.safe_open import open_file, plain_reason
from echo_index.indexer.storage.writer_lock import writer_lock

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH = 1024  # rows
_READ_BUFFER = 2**20  # bytes of each column, so that a row group of any size takes little memory
_OLDEST_FORMAT = 2  # of a manifest with a checksum
_REMEDY = "Export the index again, and import the file as it is."
_UPDATE = "Update echo-index, or export the index with this version."


def import_index(
    path: Path,
    index_dir: Path,
    *,
    overwrite: bool = False,
    progress: ExchangeProgress = lambda done, total: None,
) -> ExchangeReport:
    """Make an index of a file that `export_index` wrote; it has the same documents, vectors and settings.

    The index appears when it is complete: an error or an interruption leaves what was in the folder before. Paths of
    documents are relative to the folder that contains the index, as they were.

    Args:
        path: the Parquet file.
        index_dir: the folder of the index, created if missing.
        overwrite: whether the index replaces one that is there; searches use that one until the new one is complete.
        progress: receives the number of passages that are stored, and of all.

    Raises:
        MissingPackage: pyarrow is not installed.
        ExchangeError: the file cannot be read, is not such a file or is wrong; or there is an index, and `overwrite` is
            false.
        IndexMismatch: a later version of echo-index wrote the index that is there.
        IndexBusy: another process is writing the index.
        IndexUnwritable: the disk is full or the folder cannot be written.
    """
    load_pyarrow()
    with _opened(path) as file:
        description = _described(path, file)
        _validate_target(index_dir, overwrite=overwrite)
        with _removed_if_empty(index_dir), writer_lock(index_dir):
            _validate_target(index_dir, overwrite=overwrite)  # another process may have made one
            manifest = _write_index(path, file, description, index_dir, progress)
        return exchange_report(path, index_dir, manifest)


@contextmanager
def _opened(path: Path) -> Iterator[pa.parquet.ParquetFile]:
    arrow = load_pyarrow()
    try:
        file = open_file(path)
    except FileNotFoundError:
        raise ExchangeError(f"There is no file {path}.", remedy="Write one: echo-index export FILE") from None
    except (DocumentError, OSError, ValueError) as error:
        reason = plain_reason(error) if isinstance(error, OSError | ValueError) else "it is not a file"
        raise ExchangeError(f"{path} cannot be read: {reason}.", remedy="Name a Parquet file.") from None
    with file:
        try:
            parquet = arrow.parquet.ParquetFile(
                file, pre_buffer=False, buffer_size=_READ_BUFFER, page_checksum_verification=True
            )
        except (arrow.ArrowException, OSError, ValueError):
            raise ExchangeError(
                f"{path} is not a Parquet file, or a part of one.", remedy="Write one: echo-index export FILE"
            ) from None
        yield parquet


def _described(path: Path, file: pa.parquet.ParquetFile) -> Description:
    """Return the description of a file, if the file has the columns and the number of rows that it says."""
    arrow = load_pyarrow()
    schema = file.schema_arrow
    stored = (schema.metadata or {}).get(METADATA_KEY)
    if stored is None:
        raise ExchangeError(
            f"{path} has no schema metadata {METADATA_KEY.decode()!r}, which says what its vectors are.",
            remedy="Write it with echo-index export; pandas and SQL leave the metadata out when they write a file.",
        )
    try:
        description = Description.parse(stored)
        for name in COLUMNS:
            if schema.names.count(name) != 1:
                raise ValueError(f"it has {schema.names.count(name) or 'no'} columns {name!r}")
        for name in (VECTOR, CLASSICAL_VECTOR):
            if name in schema.names:
                _validate_vectors(name, schema.field(name).type, description.dimension)
        if (rows := file.metadata.num_rows) != description.manifest.chunks:
            raise ValueError(f"it has {rows} rows, but its index has {description.manifest.chunks} passages")
    except LaterFormat as error:
        raise _cannot_be_imported(path, error, remedy=_UPDATE) from None
    except (ValueError, arrow.ArrowException) as error:
        raise _cannot_be_imported(path, error) from None
    return description


def _validate_vectors(name: str, kind: pa.DataType, dimension: int) -> None:
    types = load_pyarrow().types
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    if not is_list or not types.is_floating(kind.value_type):
        raise ValueError(f"its column {name!r} holds no vectors but {kind}")
    if types.is_fixed_size_list(kind) and kind.list_size != dimension:
        raise ValueError(f"its vectors have {kind.list_size} dimensions, but those of its index have {dimension}")


def _validate_target(index_dir: Path, *, overwrite: bool) -> None:
    if index_dir.exists() and not index_dir.is_dir():
        raise ExchangeError(f"{index_dir} is not a folder.", remedy="Name another folder with --index.")
    if overwrite or not index_dir.is_dir():
        return
    if (index_dir / MANIFEST).exists() or any(index_dir.glob(CATALOGS)):
        raise ExchangeError(
            f"There is an index in {index_dir} already.",
            remedy="Name another folder with --index, or replace the index with --overwrite.",
        )


@contextmanager
def _removed_if_empty(index_dir: Path) -> Iterator[None]:
    """Remove the folders that were created for an index if it could not be made."""
    created = [folder for folder in (index_dir, *index_dir.parents) if not folder.exists()]
    try:
        yield
    except BaseException:
        with suppress(OSError):
            if created:
                (index_dir / "writer.lock").unlink(missing_ok=True)
            for folder in created:
                folder.rmdir()
        raise


def _write_index(
    path: Path, file: pa.parquet.ParquetFile, description: Description, index_dir: Path, progress: ExchangeProgress
) -> Manifest:
    """Fill a catalog that nobody sees, then make it that of the index. The caller holds the writer's lock."""
    try:
        before = recover_commit(index_dir).manifest
    except IndexDamaged:
        before = None  # its files are deleted when the new index is complete
    manifest = _new_manifest(description.manifest, before)
    unnamed = index_dir / IMPORTING
    with translate_write_errors(index_dir):
        delete_catalog(unnamed)  # what an import that was killed has left
    try:
        with closing(Catalog(unnamed, create=True)) as catalog:
            _fill(path, file, catalog, replace(description, manifest=manifest), progress)
        commit_catalog(index_dir, unnamed, manifest, before)
    except BaseException:
        with suppress(OSError):
            if unnamed.exists():  # else it has become the catalog of the index
                (index_dir / vectors_file(manifest.generation)).unlink(missing_ok=True)
            delete_catalog(unnamed)
        raise
    return manifest


def _new_manifest(manifest: Manifest, before: Manifest | None) -> Manifest:
    generation = before.generation + 1 if before else 1
    is_early = manifest.format_version < FORMAT_VERSION  # the next build then brings the index up to date
    return replace(
        manifest,
        generation=generation,
        vectors_file="",
        vector_index=None,
        catalog_file=f"catalog-{generation}.sqlite" if before else CATALOG,
        format_version=max(_OLDEST_FORMAT, manifest.format_version) if is_early else FORMAT_VERSION,
    )


def _fill(
    path: Path,
    file: pa.parquet.ParquetFile,
    catalog: Catalog,
    description: Description,
    progress: ExchangeProgress,
) -> None:
    manifest, done = description.manifest, 0
    built_with = json.dumps({"encoder": manifest.encoder, "chunking": manifest.chunking})
    context = {"context": manifest.context} if manifest.context else {}
    settings = {**description.settings, **context, "built_with": built_with}
    try:
        filling = CatalogFilling(catalog, settings, generation=manifest.generation)
        if not settings_are_readable(catalog, catalog.path.parent, settings):
            raise ValueError("the sources in its description cannot be read")
        filling.add_documents(description.documents)
        progress(done, manifest.chunks)
        for batch in _batches(file):
            filling.add_block(to_block(batch, dimension=description.dimension, context=manifest.context))
            done += len(batch)
            progress(done, manifest.chunks)
        _validate_counts(catalog, manifest)
    except (ValueError, OverflowError) as error:
        raise _cannot_be_imported(path, error) from None


def _batches(file: pa.parquet.ParquetFile) -> Iterator[pa.RecordBatch]:
    arrow = load_pyarrow()
    columns = [name for name in (*COLUMNS, CLASSICAL_VECTOR) if name in file.schema_arrow.names]
    try:
        for batch in file.iter_batches(batch_size=_BATCH, columns=columns):
            if len(batch):
                yield batch
    except (arrow.ArrowException, OSError) as error:
        raise ValueError(f"it is damaged ({' '.join(str(error).split())[:200]})") from None


def _validate_counts(catalog: Catalog, manifest: Manifest) -> None:
    generation = manifest.generation
    for document, start in duplicate_chunks(catalog, generation=generation)[:1]:
        raise ValueError(f"the passage at {start} of {document!r} is there twice")
    counts = generation_counts(catalog, generation=generation)
    if (counts.documents, counts.chunks) != (manifest.documents, manifest.chunks):
        raise ValueError(
            f"it has {counts.documents} documents in {counts.chunks} passages, but its index has {manifest.documents} "
            f"in {manifest.chunks}"
        )


def _cannot_be_imported(path: Path, error: Exception, *, remedy: str = _REMEDY) -> ExchangeError:
    return ExchangeError(f"{path} cannot be imported: {error}.", remedy=remedy)
