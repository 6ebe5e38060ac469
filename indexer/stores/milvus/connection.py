"""Talk to a Milvus server, or to a file of Milvus Lite: connect, and read and write the rows of collections."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from echo_index.errors import EchoIndexError, MissingPackage, StoreError
from echo_index.indexer.stores.location import TOKEN_VARIABLE, StoreLocation

if TYPE_CHECKING:
    from pymilvus import CollectionSchema, MilvusClient

Row = dict[str, Any]
_CONNECT_SECONDS = 10
_SECONDS = 60  # of one call, in which a server that is being started again may come back
_BATCH = 1000  # rows of a page of a listing
MOST_ROWS = 16_384
"""Rows that one query or search returns at most."""
_WITH_BM25 = (2, 5)  # the version of Milvus
_LITE = "milvus_lite"  # how Milvus Lite begins its version
_INSTALL = {
    "pymilvus": "pip install 'echo-index[milvus]'",
    "milvus_lite": "pip install --no-deps milvus-lite",  # it asks for faiss-cpu, which would overwrite faiss-gpu
    "pyarrow": "pip install 'echo-index[parquet]'",
}
_UNREACHABLE = ("unavailable", "fail connecting", "timeout", "deadline", "retry run out")  # in what pymilvus says
_NO_PARAMETERS: Mapping[str, Any] = MappingProxyType({})

_connections: dict[str, MilvusConnection] = {}
_users: Counter[str] = Counter()
_lock = Lock()


def connect(location: StoreLocation) -> MilvusConnection:
    """Return the connection to a server or a file; it is shared by all in this process, each of whom may `disconnect`.

    Raises:
        StoreError: it cannot be reached, or another process has the file open.
        MissingPackage: pymilvus is not installed, or milvus-lite for a file.
    """
    with _lock:
        if location.uri not in _connections:
            _connections[location.uri] = MilvusConnection(location)
        _users[location.uri] += 1
        return _connections[location.uri]


def disconnect(location: StoreLocation) -> None:
    """Close the connection unless others use it, so that another process can open the file."""
    with _lock:
        _users[location.uri] -= 1
        if not _users[location.uri]:
            _connections.pop(location.uri).close()


@contextmanager
def connected(location: StoreLocation) -> Iterator[MilvusConnection]:
    """Give the connection of `connect` inside the `with` block."""
    connection = connect(location)
    try:
        yield connection
    finally:
        disconnect(location)


class MilvusConnection:
    """A connection to a Milvus server, or to a file of Milvus Lite. Thread-safe."""

    def __init__(self, location: StoreLocation) -> None:
        """Connect; see `connect` for the errors."""
        self._location = location
        if location.is_file and not Path(location.uri).parent.is_dir():
            raise StoreError(f"There is no folder {Path(location.uri).parent} for the file {location.uri}.")
        client_class = _load_client(location)
        with self._translated_errors():
            self._client: MilvusClient = client_class(
                location.uri, token=os.environ.get(TOKEN_VARIABLE, ""), timeout=_CONNECT_SECONDS
            )
            self.version: str = self._client.get_server_version(timeout=_CONNECT_SECONDS)
        self._loaded: set[str] = set()

    def close(self) -> None:
        """Close the connection; a file can then be opened by another process."""
        self._client.close()
        if self._location.is_file:
            from milvus_lite.server_manager import server_manager_instance

            server_manager_instance.release_server(self._location.uri)

    @property
    def has_bm25(self) -> bool:
        """Whether the server ranks texts by BM25."""
        numbers = re.match(r"v?(\d+)\.(\d+)", self.version)
        return self.version.startswith(_LITE) or numbers is None or (int(numbers[1]), int(numbers[2])) >= _WITH_BM25

    def names(self) -> set[str]:
        """Return the names of all collections."""
        with self._translated_errors():
            return {*self._client.list_collections(timeout=_SECONDS)}

    def has(self, collection: str) -> bool:
        """Return whether there is a collection of this name."""
        with self._translated_errors():
            return bool(self._client.has_collection(collection, timeout=_SECONDS))

    def create(self, collection: str, schema: CollectionSchema, indexes: Mapping[str, Mapping[str, Any]]) -> None:
        """Create a collection with an index for each of its fields of vectors, or what of it is not there yet."""
        is_new = not self.has(collection)
        with self._translated_errors():
            if is_new:
                self._client.create_collection(collection, schema=schema, consistency_level="Strong", timeout=_SECONDS)
            there = {*self._client.list_indexes(collection, timeout=_SECONDS)}
            for field, settings in indexes.items():
                if field not in there:
                    parameters = self._client.prepare_index_params()
                    parameters.add_index(field, index_name=field, **settings)
                    # The collection is empty; pymilvus would look for the end half a second later.
                    self._client.create_index(collection, parameters, timeout=_SECONDS, sync=False)

    def drop(self, collection: str) -> None:
        """Drop a collection, if it is there."""
        with self._translated_errors():
            self._client.drop_collection(collection, timeout=_SECONDS)

    def insert(self, collection: str, rows: Sequence[Row], *, replace: bool = False) -> None:
        """Insert rows; with `replace`, rows of the same primary keys may be there."""
        write = self._client.upsert if replace else self._client.insert
        with self._translated_errors():
            write(collection, [*rows], timeout=_SECONDS)

    def delete(self, collection: str, where: str) -> None:
        """Delete the rows that meet a condition."""
        self._load(collection)
        with self._translated_errors():
            self._client.delete(collection, filter=where, timeout=_SECONDS)

    def query(
        self, collection: str, where: str, fields: Sequence[str], *, limit: int = MOST_ROWS, fresh: bool = True
    ) -> list[Row]:
        """Return up to `limit` rows that meet a condition; with `fresh`, all that was written before is seen."""
        self._load(collection)
        with self._translated_errors():
            return [
                *self._client.query(
                    collection,
                    filter=where,
                    output_fields=[*fields],
                    limit=limit,
                    consistency_level=_consistency(fresh),
                    timeout=_SECONDS,
                )
            ]

    def count(self, collection: str, where: str, *, fresh: bool = True) -> int:
        """Return how many rows meet a condition."""
        self._load(collection)
        with self._translated_errors():
            found = self._client.query(
                collection,
                filter=where,
                output_fields=["count(*)"],
                consistency_level=_consistency(fresh),
                timeout=_SECONDS,
            )
            return int(found[0]["count(*)"])

    def stream(self, collection: str, where: str, fields: Sequence[str], *, fresh: bool = True) -> Iterator[Row]:
        """Yield all rows that meet a condition, ordered by their primary keys, however many there are."""
        self._load(collection)
        with self._translated_errors():
            pages = self._client.query_iterator(
                collection,
                batch_size=_BATCH,
                filter=where,
                output_fields=[*fields],
                consistency_level=_consistency(fresh),
                timeout=_SECONDS,
            )
        try:
            while True:
                with self._translated_errors():
                    page = pages.next()
                if not page:
                    return
                yield from page
        finally:
            pages.close()

    def search(
        self,
        collection: str,
        query: Any,
        *,
        by: str,
        k: int,
        where: str,
        fields: Sequence[str],
        parameters: Mapping[str, Any] = _NO_PARAMETERS,
        fresh: bool = True,
    ) -> list[tuple[int, float, Row]]:
        """Return (primary key, score, fields) of the `k` rows with the best scores of the field `by`, in any order.

        `query` is a vector, or a text for a field that is ranked by BM25.
        """
        self._load(collection)
        with self._translated_errors():
            [hits] = self._client.search(
                collection,
                [query],
                anns_field=by,
                limit=min(k, MOST_ROWS),
                filter=where,
                output_fields=[*fields],
                search_params={"params": {**parameters}},
                consistency_level=_consistency(fresh),
                timeout=_SECONDS,
            )
        return [(int(hit["id"]), float(hit["distance"]), dict(hit["entity"])) for hit in hits]

    def _load(self, collection: str) -> None:
        """Load a collection into the memory of the server, which a file needs after it was opened."""
        if collection not in self._loaded:
            with self._translated_errors():
                self._client.load_collection(collection, timeout=_SECONDS)
            self._loaded.add(collection)

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Raise what a server answers as a `StoreError`."""
        from grpc import RpcError
        from pymilvus.exceptions import MilvusException

        try:
            yield
        except EchoIndexError:
            raise
        except (MilvusException, RpcError, OSError, ValueError) as error:
            raise _store_error(self._location, error) from error


def _load_client(location: StoreLocation) -> type[MilvusClient]:
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it writes to standard error that it connects again
    try:
        from pymilvus import MilvusClient

        if location.is_file:
            import milvus_lite  # noqa: F401 - pymilvus loads it
            import pyarrow  # noqa: F401 - and this
    except ImportError as error:
        raise MissingPackage(
            f"{error.name or 'pymilvus'}, which {location} needs, is not installed.",
            remedy=f"Install it: {_INSTALL.get(error.name or '', _INSTALL['pymilvus'])}",
        ) from error
    # It writes each error to standard error, with its stack, before it raises it.
    for name in [name for name in logging.root.manager.loggerDict if name.startswith(("pymilvus", _LITE))]:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    logging.getLogger(_LITE).setLevel(logging.CRITICAL + 1)
    return MilvusClient  # type: ignore[no-any-return]


def _consistency(fresh: bool) -> str:
    return "Strong" if fresh else "Bounded"


def _store_error(location: StoreLocation, error: Exception) -> StoreError:
    reason = str(getattr(error, "message", "") or error).strip().splitlines()
    short = reason[0][:300] if reason else type(error).__name__
    if location.is_file and "Open local milvus failed" in short:
        return StoreError(
            f"{location.uri} cannot be opened: another process has it open, or it is damaged.",
            remedy="One process at a time can use a file of Milvus Lite; for several, run a Milvus server.",
        )
    if any(word in short.lower() for word in _UNREACHABLE):
        return StoreError(
            f"The Milvus server {location.uri} cannot be reached, or does not answer in time.",
            remedy=f"Check the address, that it runs, and {TOKEN_VARIABLE} if it asks for a token.",
        )
    return StoreError(f"Milvus ({location.uri}) answers: {short}")
