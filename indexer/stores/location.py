"""Parse the place of an index in a store: milvus:URI#NAME."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePath
from urllib.parse import urlsplit

from echo_index.errors import StoreError

_PREFIX = "milvus:"
DEFAULT_NAME = "echo_index"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_SERVER = re.compile(r"(https?):/{1,2}(.+)", re.IGNORECASE)  # a path has lost one of two slashes
TOKEN_VARIABLE = "ECHO_INDEX_MILVUS_TOKEN"
_EXAMPLES = "Write milvus:http://host:19530 for a server, milvus:notes.db for a file of Milvus Lite; #NAME may follow."


@dataclass(frozen=True, slots=True)
class StoreLocation:
    """An index in Milvus: the URI of a server, or the absolute path of a file of Milvus Lite, and the index's name."""

    uri: str
    name: str = DEFAULT_NAME

    def __str__(self) -> str:
        return f"{_PREFIX}{self.uri}" + (f"#{self.name}" if self.name != DEFAULT_NAME else "")

    @property
    def is_file(self) -> bool:
        """Whether it is a file of Milvus Lite, which one process has open at a time."""
        return not _SERVER.fullmatch(self.uri)

    @classmethod
    def parse(cls, text: str) -> StoreLocation:
        """Parse what a person writes; the path of a file becomes absolute.

        Raises:
            StoreError: it is no such place, or has a password in it.
        """
        if not is_store(text):
            raise StoreError(f"{text!r} is no store.", remedy=_EXAMPLES)
        uri, _, name = text[len(_PREFIX) :].partition("#")
        name = name or DEFAULT_NAME
        if not _NAME.fullmatch(name):
            raise StoreError(
                f"An index in Milvus cannot be called {name!r}.",
                remedy="Use up to 100 letters, digits and underscores, and no digit at the beginning.",
            )
        if server := _SERVER.fullmatch(uri.replace("\\", "/")):  # a path of Windows
            return cls(_valid_server(server[1].lower(), server[2].rstrip("/")), name)
        if not uri.endswith(".db"):
            raise StoreError(
                f"{uri or repr(uri)} is neither the URI of a Milvus server nor a .db file.", remedy=_EXAMPLES
            )
        return cls(os.path.abspath(os.path.expanduser(uri)), name)  # noqa: PTH100, PTH111 - Path.resolve follows links


def is_store(place: str | PurePath) -> bool:
    """Return whether the place of an index is in a store, and not a folder."""
    return str(place).startswith(_PREFIX)


def local_folder(place: Path, *, task: str) -> Path:
    """Return the folder of an index, for a task that an index in a store does not allow.

    Raises:
        StoreError: it is in a store.
    """
    if is_store(place):
        raise StoreError(
            f"{task} needs the folder of the index, and {StoreLocation.parse(str(place))} is in a store.",
            remedy="Do it on the machine that built it: --index FOLDER",
        )
    return place


def _valid_server(scheme: str, rest: str) -> str:
    uri = f"{scheme}://{rest}"
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host:
        raise StoreError(f"{uri} is no URI of a Milvus server.", remedy=_EXAMPLES)
    if parts.username or parts.password:
        raise StoreError(
            f"The URI of the Milvus server {host} has a user or a password in it, which an index would keep.",
            remedy=f"Leave it out, and set the environment variable {TOKEN_VARIABLE} to USER:PASSWORD or a token.",
        )
    return uri
