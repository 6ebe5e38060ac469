"""Say whether files have changed since the last build, without making anybody wait, and bring the index up to date."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from echo_index.app.defaults import DEFAULTS
from echo_index.app.services.formatting import pluralize
from echo_index.errors import EchoIndexError

if TYPE_CHECKING:
    from echo_index.embeddings.runtime.devices import DeviceChoice
    from echo_index.indexer.building.build_progress import OnRecognizing, Progress
    from echo_index.indexer.building.document_sync import BuildReport
    from echo_index.indexer.inspection.changed_files import FileChanges
    from echo_index.indexer.sources.source import Source

_SCAN_SECONDS = 0.15


def look_for_changes(index_dir: Path, *, seconds: float = _SCAN_SECONDS) -> FileChanges | None:
    """Return what has changed since the last build, or None if that cannot be known in this time.

    An answer that takes longer is not waited for, even if a disk on the network does not answer at all.
    """
    found: list[FileChanges | None] = []

    def look() -> None:
        from echo_index.indexer.inspection.changed_files import quick_changes

        with suppress(EchoIndexError, OSError):  # whoever uses the index is told what is wrong with it
            found.append(quick_changes(index_dir, seconds=seconds))

    thread = Thread(target=look, name="changes", daemon=True)
    thread.start()
    thread.join(2 * seconds)  # the modules for it may have to be loaded first
    return found[0] if found else None


def change_lines(changes: FileChanges | None, index_dir: Path) -> list[str]:
    """Return what to tell of changes: how many files, with the command that builds, and which sources are gone."""
    if changes is None:
        return []
    lines = []
    if changes.count:
        index = "" if index_dir == DEFAULTS.index_dir else f" --index {shlex.quote(str(index_dir))}"
        lines.append(f"{changed_files_text(changes)}: echo-index build{index}")
    return lines + gone_lines(changes.gone)


def changed_files_text(changes: FileChanges) -> str:
    """Return "3 files changed since the last build (2 new, 1 removed)"."""
    counts = ((changes.new, "new"), (changes.changed, "changed"), (changes.removed, "removed"))
    kinds = ", ".join(f"{count:,} {word}" for count, word in counts if count)
    return f"{pluralize(changes.count, 'file')} changed since the last build ({kinds})"


def gone_lines(gone: Sequence[tuple[str, str]]) -> list[str]:
    """Return a sentence for each source that is gone: "/mnt/notes is missing; its documents stay in the index."."""
    return [f"{name} {reason}; its documents stay in the index." for name, reason in gone]


def known_sources(index_dir: Path) -> list[Source]:
    """Return the sources of all builds, also those that are gone; builds add the patterns of earlier builds."""
    from echo_index.indexer.generations.source_registry import read_sources
    from echo_index.indexer.sources.source import Source

    return [Source.remembered(name) for name in read_sources(index_dir)]


def watched_sources(sources: Sequence[Source], notice: Callable[[str], None]) -> list[Source]:
    """Return the sources on this machine; `notice` receives that the others are not watched."""
    for source in sources:
        if source.is_remote:
            notice(f"{source.name} is not watched; echo-index build looks for changes there.")
    return [source for source in sources if not source.is_remote]


def update_index(
    index_dir: Path,
    *,
    model: str | None,
    device: DeviceChoice,
    notice: Callable[[str], None],
    progress: Progress,
    on_recognizing: OnRecognizing,
) -> BuildReport | None:
    """Build the changed files of all sources of an index; return None, without loading a model, if there is none.

    `model` is the path of the index's model, if it has moved. `notice` receives which sources are gone.

    Raises:
        IndexMissing: there is no index.
        IndexBusy: another process is writing it.
        EchoIndexError: the build fails.
    """
    from echo_index.app.services.encoder_factory import encoder_from_index
    from echo_index.indexer.building.build_files import build_index
    from echo_index.indexer.building.built_with import read_built_with
    from echo_index.indexer.inspection.changed_files import find_changes

    changes = find_changes(index_dir)
    for line in gone_lines(changes.gone):
        notice(line)
    before = read_built_with(index_dir)
    if not changes.count or before is None:
        return None
    return build_index(
        known_sources(index_dir),
        index_dir,
        encoder=encoder_from_index(model, device=device, notice=notice)(before.encoder),
        chunking=before.chunking,
        keep_gone=True,
        progress=progress,
        on_recognizing=on_recognizing,
    )
