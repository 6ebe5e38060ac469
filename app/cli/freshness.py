"""Tell on standard error what has changed since the last build, and bring an index up to date before a search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from echo_index.app.cli.options import err, notice
from echo_index.app.cli.output import one_line
from echo_index.app.services.freshness import change_lines, look_for_changes

if TYPE_CHECKING:
    from echo_index.embeddings.runtime.devices import DeviceChoice
    from echo_index.indexer.inspection.changed_files import FileChanges

Update = Annotated[
    bool, typer.Option("--update", help="Bring the index up to date first: build what has changed in its sources.")
]


def changes_by_index(indexes: Iterable[Path]) -> dict[Path, FileChanges | None]:
    """Return what has changed since the last build of each index, None where that cannot be known quickly."""
    return {index: look_for_changes(index) for index in indexes}


def tell_changes(changes: Mapping[Path, FileChanges | None]) -> None:
    """Print for each index how many files have changed, and which sources are gone; nothing if it is not known."""
    for index, found in changes.items():
        for line in change_lines(found, index):
            notice(one_line(line))


def bring_up_to_date(index: Path, *, model: str | None, device: DeviceChoice) -> None:
    """Build the changed files of an index, with progress on standard error."""
    from echo_index.app.cli.progress import WorkProgress, interruptible
    from echo_index.app.services.formatting import change_counts, failure_lines, pluralize
    from echo_index.app.services.freshness import update_index
    from echo_index.indexer.stores.location import local_folder

    local_folder(index, task="--update")
    with interruptible(notice, kept="What was embedded"), WorkProgress(err) as progress:
        report = update_index(
            index,
            model=model,
            device=device,
            notice=lambda line: notice(one_line(line)),
            progress=progress.show_stage,
            on_recognizing=progress.show_detail,
        )
    if report is not None:
        notice(f"Updated: {change_counts(report)}; {pluralize(report.embedded, 'passage')} embedded.")
        for line in failure_lines(report.failures):
            notice(one_line(f"Not read: {line}"))
