"""Open the storages and streams of a compound file (OLE), as Outlook and old Office programs write them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from echo_index.errors import DocumentError

if TYPE_CHECKING:
    from olefile import OleFileIO
    from olefile.olefile import OleDirectoryEntry

_MAX_READ = 4  # times the size of the file: more is read only if streams share their sectors
_SMALLEST = 1536  # bytes of a compound file


@dataclass(slots=True)
class _File:
    """An open file, and how many bytes of its streams may still be read."""

    ole: OleFileIO
    size: int
    readable: int


class Storage:
    """A folder of a compound file: streams, which are its files, and storages. Case does not matter in names."""

    def __init__(self, file: _File, entry: OleDirectoryEntry) -> None:
        """Take a storage for its entry in the directory."""
        self._file, self._entry = file, entry

    def stream(self, name: str) -> bytes | None:
        """Return the content of a stream, None if there is none of this name. What is broken is missing.

        Raises:
            DocumentError: it is larger than the file, or the streams so far are.
        """
        entry = self._entry.kids_dict.get(name.lower())
        if entry is None or self._is_storage(entry):
            return None
        file = self._file
        file.readable -= entry.size
        if entry.size > file.size or file.readable < 0:
            raise DocumentError("It is not a readable MSG: its parts are larger than the file.")
        # The public method looks through the names of all streams each time.
        return bytes(file.ole._open(entry.isectStart, entry.size).getvalue())

    def storage(self, name: str) -> Storage | None:
        """Return a storage in this one, None if there is none of this name."""
        entry = self._entry.kids_dict.get(name.lower())
        return Storage(self._file, entry) if entry is not None and self._is_storage(entry) else None

    def storages(self, prefix: str) -> Iterator[Storage]:
        """Yield the storages whose names begin so, in the order of their names."""
        for entry in self._entry.kids:
            if entry.name.lower().startswith(prefix) and self._is_storage(entry):
                yield Storage(self._file, entry)

    def _is_storage(self, entry: OleDirectoryEntry) -> bool:
        from olefile.olefile import STGTY_STORAGE

        return bool(entry.entry_type == STGTY_STORAGE)


def open_compound(content: bytes) -> Storage:
    """Return the outermost storage of a compound file.

    Raises:
        DocumentError: the file is cut off, or says that it is larger than it is.
        Exception: it is broken; the library raises many kinds of errors.
    """
    from olefile import OleFileIO

    if len(content) < _SMALLEST:
        raise DocumentError("It is not a readable MSG: it is cut off.")
    ole = OleFileIO(io.BytesIO(content))
    if ole.root.size > len(content):
        raise DocumentError("It is not a readable MSG: its parts are larger than the file.")
    return Storage(_File(ole, len(content), _MAX_READ * len(content)), ole.root)
