"""Choose the sources of a build: those that are named, those of a list, or those of earlier builds."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from echo_index.errors import SourceError

if TYPE_CHECKING:
    from echo_index.indexer.sources.source import Source

FROM_INPUT = "-"
"""The name of a source that stands for a list of paths on standard input."""

Notice = Callable[[str], None]
_NAMED = 3  # of the sources that a message is about


def read_path_list(stream: BinaryIO, *, null: bool) -> list[str]:
    """Return the paths of a list, one on each line or, if `null`, each ended by a NUL character.

    Raises:
        SourceError: the list is empty, or its paths are separated in the other way.
    """
    content = stream.read()
    if not null and b"\0" in content:
        raise SourceError("The list on standard input is separated by NUL characters.", remedy="Add --null.")
    lines = content.split(b"\0") if null else [line.rstrip(b"\r") for line in content.split(b"\n")]
    paths = [os.fsdecode(line) for line in lines if line.strip()]
    if not paths:
        raise SourceError("Standard input has no path.", remedy="Write one on each line: find . -name '*.md' | …")
    return list(dict.fromkeys(paths))


def listed_sources(
    paths: Sequence[str], index_dir: Path, *, include: Sequence[str], exclude: Sequence[str], notice: Notice
) -> list[Source]:
    """Return the files and folders of a list that exist, and the remembered files that have been deleted.

    A list may be older than the files: `notice` is told which of its paths do not exist. Addresses are taken as they
    are.

    Raises:
        SourceError: none of the paths exists, or one of them is no file and no folder.
    """
    from echo_index.indexer.sources.source import Source
    from echo_index.indexer.storage.urls import is_url

    missing = [path for path in paths if not is_url(path) and not os.path.lexists(path)]
    if len(missing) == len(paths):
        raise SourceError(f"There is no file or folder at {_listed(missing)}.", remedy="Check the spelling.")
    if missing:
        notice(f"There is no file or folder at {_listed(missing)}.")
    left_out = {*missing}
    sources = [Source.parse(path, include=include, exclude=exclude) for path in paths if path not in left_out]
    return [*sources, *_deleted_sources(index_dir, notice)]


def remembered_sources(
    index_dir: Path, *, include: Sequence[str], exclude: Sequence[str], keep_gone: bool = False, notice: Notice
) -> list[Source]:
    """Return the sources of earlier builds. Files that have been deleted are among them, to take them out of the index.

    With `keep_gone`, the sources need not exist, and what is known of them stays in the index.

    Raises:
        SourceError: a folder or a glob does not exist any more, or a file and its folder do not.
    """
    from echo_index.indexer.generations.source_registry import read_sources
    from echo_index.indexer.sources.source import Source

    deleted = [] if keep_gone else _deleted_sources(index_dir, notice)
    find = Source.remembered if keep_gone else Source.parse
    names = {source.name for source in deleted}
    sources = []
    for name in read_sources(index_dir):
        if name in names:
            continue
        try:
            sources.append(find(name, include=include, exclude=exclude))
        except SourceError as error:
            reason = error.message[0].lower() + error.message[1:]
            raise SourceError(
                f"A source of the index in {index_dir} cannot be built again: {reason}",
                remedy="Put it back, or name the sources to keep: echo-index build SOURCE...",
            ) from None
    if sources:
        notice(f"Sources of earlier builds: {_listed([source.name for source in sources])}")
    return [*sources, *deleted]


def _deleted_sources(index_dir: Path, notice: Notice) -> list[Source]:
    from echo_index.indexer.generations.source_registry import deleted_files
    from echo_index.indexer.sources.source import Source

    names = deleted_files(index_dir)
    if names:
        notice(f"Deleted, and taken out of the index: {_listed(names)}")
    return [Source.deleted(name) for name in names]


def _listed(names: Sequence[str]) -> str:
    """Return names in words; of more than a few only the first."""
    from echo_index.indexer.documents.enumeration import enumerated

    return enumerated(names[:_NAMED], len(names) - _NAMED) if len(names) > _NAMED + 2 else ", ".join(names)
