"""Readers that other packages bring. They are found by entry points of the group `echo_index.readers`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, cast

from echo_index.errors import SourceError
from echo_index.indexer.documents.document import Document

GROUP = "echo_index.readers"


class Reader(Protocol):
    """What an entry point names: a module or an object with these two functions."""

    def accepts(self, file_name: str) -> bool:
        """Return whether files of this name are read by this reader, and by no other."""

    def read(self, content: bytes) -> Document:
        """Return the content of a file as a document.

        Raises:
            DocumentError: the content is broken.
        """


@dataclass(frozen=True, slots=True)
class Plugin:
    """An installed reader: the name of its entry point, and the version of its package."""

    name: str
    version: str
    reader: Reader


@cache
def installed_plugins() -> tuple[Plugin, ...]:
    """Return the readers of the installed packages, ordered by name.

    Raises:
        SourceError: one of them cannot be loaded.
    """
    found = sorted(entry_points(group=GROUP), key=lambda entry_point: entry_point.name)
    return tuple(map(_load, found))


def plugin_reader(file_name: str) -> Reader | None:
    """Return the first installed reader that accepts files of this name, or None.

    Raises:
        SourceError: a reader cannot be loaded.
    """
    return next((plugin.reader for plugin in installed_plugins() if plugin.reader.accepts(file_name)), None)


def _load(entry_point: EntryPoint) -> Plugin:
    package = entry_point.dist.name if entry_point.dist else entry_point.module
    remedy = f"Update the package, or remove it: pip uninstall {package}"
    try:
        reader = entry_point.load()
    except Exception as error:  # a package may raise anything when it is imported
        raise SourceError(
            f"The reader {entry_point.name!r} of the package {package} cannot be loaded: {error}.", remedy=remedy
        ) from error
    if not (callable(getattr(reader, "accepts", None)) and callable(getattr(reader, "read", None))):
        raise SourceError(
            f"The reader {entry_point.name!r} of the package {package} has no functions accepts and read.",
            remedy=remedy,
        )
    version = entry_point.dist.version if entry_point.dist else ""
    return Plugin(entry_point.name, version, cast("Reader", reader))
