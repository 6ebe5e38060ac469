"""Names for indexes, kept in the user's data folder, so that commands find an index from anywhere."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from platformdirs import user_data_path

from echo_index.errors import CollectionError, EchoIndexError

_FILE = "collections.json"
_NAME = re.compile(r"[\w][\w.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Collection:
    """An index with a name, in a folder or a store, and a line that says what it is about."""

    name: str
    index: Path
    about: str = ""


def data_folder() -> Path:
    """Return the folder of what must not be lost: ECHO_INDEX_DATA, or the user's data directory."""
    from_environment = os.environ.get("ECHO_INDEX_DATA")
    return Path(from_environment).expanduser() if from_environment else user_data_path("echo-index")


def read_collections() -> dict[str, Collection]:
    """Return the collections by name, in alphabetical order.

    Raises:
        CollectionError: the file that lists them cannot be read.
    """
    path = data_folder() / _FILE
    try:
        listed: Any = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: Collection(name, Path(fields["index"]), str(fields.get("about", "")))
            for name, fields in sorted(listed.items())
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CollectionError(
            f"The list of collections {path} cannot be read: {error}.",
            remedy="Mend it, or delete it and add them again.",
        ) from None


def described(collection: Collection) -> str:
    """Return the line that says what a collection is about: its own, or else the context of its index, or ''."""
    from echo_index.indexer.generations.manifest import read_manifest  # loads NumPy, which takes a while

    try:
        return collection.about or read_manifest(collection.index).context
    except EchoIndexError:
        return ""  # the index is gone or damaged, which commands that open it tell


def add_collection(collection: Collection) -> Collection:
    """Name an index, or change what is known of a name; return what is known of it now.

    Raises:
        CollectionError: the name is not possible, the folder has no index, or the list cannot be written.
        StoreError: the index is in a store whose address is none.
    """
    if not _NAME.fullmatch(collection.name):
        raise CollectionError(
            f"{collection.name!r} cannot be the name of a collection.",
            remedy="Use up to 64 letters, digits, dots, hyphens and underscores; the first is a letter or a digit.",
        )
    from echo_index.indexer.stores.location import StoreLocation, is_store

    if is_store(collection.index):
        place = Path(str(StoreLocation.parse(str(collection.index))))
    elif _is_index(collection.index):
        place = collection.index.resolve()
    else:
        raise CollectionError(
            f"There is no complete index in {collection.index}.",
            remedy=f"Build it: echo-index build FOLDER --index {collection.index}",
        )
    about = " ".join(collection.about.split())
    added = Collection(collection.name, place, about)
    _change(lambda listed: {**listed, collection.name: added})
    return added


def remove_collection(name: str) -> Collection:
    """Forget the name of an index, which itself stays, and return what was known of it.

    Raises:
        CollectionError: there is no such collection, or the list cannot be written.
    """
    removed = _named(name, read_collections())
    _change(lambda listed: {other: collection for other, collection in listed.items() if other != name})
    return removed


def find_collections(names: Sequence[str | Path]) -> tuple[Collection, ...]:
    """Return the indexes that are meant by names of collections or by folders, in the order given, each once.

    A folder with an index comes before a collection of that name; it is called as it is spelled.

    Raises:
        CollectionError: the list of collections has to be read, and cannot be.
    """
    found: dict[Path, Collection] = {}
    for given in names:
        name, collection = str(given), Collection(str(given), Path(given))
        # A path such as ./work is no name, nor is the default folder: the list is not read for them.
        if _NAME.fullmatch(name) and not _is_index(collection.index):
            collection = read_collections().get(name, collection)
        found.setdefault(collection.index.resolve(), collection)
    return tuple(found.values())


def find_indexes(names: Sequence[str | Path]) -> dict[str, Path]:
    """Return the folders of `find_collections` by their names."""
    return {collection.name: collection.index for collection in find_collections(names)}


def _is_index(folder: Path) -> bool:
    from echo_index.indexer.generations.manifest import MANIFEST  # loads NumPy, which takes a while

    return (folder / MANIFEST).is_file()


def _named(name: str, collections: dict[str, Collection]) -> Collection:
    if name not in collections:
        known = f"There are: {', '.join(collections)}." if collections else "There are none."
        raise CollectionError(f"There is no collection {name!r}.", remedy=known)
    return collections[name]


def _change(change: Callable[[dict[str, Collection]], dict[str, Collection]]) -> None:
    """Replace the list by what `change` makes of it, while no other process does."""
    from echo_index.indexer.storage.atomic_write import write_atomically

    path = data_folder() / _FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            changed = change(read_collections())
            listed = {
                name: {"index": str(collection.index), "about": collection.about}
                for name, collection in changed.items()
            }
            text = json.dumps(listed, indent=1, ensure_ascii=False)
            write_atomically(path, lambda file: file.write(text.encode()))
    except OSError as error:
        raise CollectionError(f"The list of collections {path} cannot be written: {error.strerror or error}.") from None
