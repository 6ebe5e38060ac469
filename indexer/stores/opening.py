"""Open an index wherever it is: in a folder, or in a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from echo_index.indexer.generations.manifest import read_manifest
from echo_index.indexer.generations.snapshot import PassagesElsewhere, Snapshot, open_snapshot
from echo_index.indexer.stores.index_reader import IndexReader
from echo_index.indexer.stores.location import StoreLocation, is_store, local_folder
from echo_index.indexer.vectors.placement import IndexDevice


def open_index(
    place: Path, *, index_device: IndexDevice = "auto", notice: Callable[[str], None] = lambda line: None
) -> IndexReader:
    """Open the newest complete generation of an index; `notice` receives one line on what a user should know.

    Raises:
        IndexMissing: there is no complete index.
        IndexMismatch: a later version of echo-index wrote the index.
        IndexDamaged: the index cannot be read.
        DeviceError: the device is not available.
        StoreError: the store cannot be reached.
        MissingPackage: the store needs a package that is not installed.
    """
    store = str(place)
    if not is_store(place):
        try:
            return open_snapshot(place, index_device=index_device, notice=notice)
        except PassagesElsewhere as elsewhere:
            store = elsewhere.store
    from echo_index.indexer.stores.milvus.snapshot import open_milvus_snapshot

    return open_milvus_snapshot(StoreLocation.parse(store), notice=notice)


def in_folder(index: IndexReader, place: Path, *, task: str) -> Snapshot:
    """Return an index that is in a folder as a `Snapshot`, for a task that needs its catalog.

    Raises:
        StoreError: it is in a store.
    """
    if not isinstance(index, Snapshot):
        raise PassagesElsewhere(local_folder(place, task=task), read_manifest(place).store)
    return index
