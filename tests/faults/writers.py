"""Two writers of one index: one that embeds without an end or is stopped at a write, and others that come meanwhile.

Runs as a program, with the library preloaded: python -m faults.writers PLACE MOST
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from echo_index.embeddings.vectors.paired_embeddings import EmbeddingPair

from .attempts import Laboratory, attempt, chosen, ended_of, start
from .failing_writes import STOPPED, arm
from .journal import JournalWordEncoder
from .scenarios import INDEX, SCENARIOS, build, rebuild, remove

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder

_ACTS = {"build": build, "rebuild": rebuild, "removal": remove}
_DEAD = 4_194_304  # no process has this id: it is beyond the largest one


class EndlessEncoder(JournalWordEncoder):
    """Embeds one batch and never comes back."""

    def encode_document_pairs(self, texts: Sequence[str]) -> Iterator[tuple[list[int], EmbeddingPair]]:
        for batch in super().encode_document_pairs(texts):
            signal.alarm(0)
            while True:
                time.sleep(60)
            yield batch


def while_one_embeds(laboratory: Laboratory, first: str) -> dict[str, Any]:
    """Let others write and read while one writer embeds, kill it, and let another take over."""
    folder, journal = laboratory.copy(), laboratory.journal()
    endless: EchoEncoder = EndlessEncoder(journal)  # type: ignore[assignment]
    process, pipe = start(lambda: _ACTS[first](folder, endless))
    while not journal.batches():
        time.sleep(0.005)
    others = [attempt(lambda act=act: act(folder, laboratory.encoder)) for act in _ACTS.values()]  # type: ignore[misc]
    seen = laboratory.seen(folder)
    os.kill(process, signal.SIGKILL)
    killed = ended_of(process, pipe)
    journal.attempt += 1
    encoder: EchoEncoder = JournalWordEncoder(journal)  # type: ignore[assignment]
    next_one = attempt(lambda: laboratory.scenario.act(folder, encoder))
    return {
        "first": f"{first} while it embeds",
        "others": [_told(other.how, other.error, process) for other in others],
        "seen": seen,
        "ended": killed.how,
        "next": f"{next_one.how} {next_one.error}".strip(),
        "finally_wrong": laboratory.finally_wrong(folder, [laboratory.after]),
        "left": [path.name for path in (folder / INDEX).glob("writer.pid")],
    }


def while_one_is_stopped(laboratory: Laboratory, point: int) -> dict[str, Any]:
    """Stop a writer at a write, after another one was killed; let others write and read, and let it go on."""
    folder = laboratory.copy()
    (folder / INDEX / "writer.pid").write_text(str(_DEAD))

    def act_stopped() -> None:
        arm(folder, STOPPED, at=point)
        laboratory.scenario.act(folder, laboratory.encoder)

    process, pipe = start(act_stopped)
    _, status = os.waitpid(process, os.WUNTRACED)
    assert os.WIFSTOPPED(status), f"write point {point} was not reached"
    other = attempt(lambda: build(folder, laboratory.encoder))
    seen = laboratory.seen(folder)
    os.kill(process, signal.SIGCONT)
    ended = ended_of(process, pipe)
    return {
        "first": f"stopped before {laboratory.writes[point - 1]}",
        "others": [_told(other.how, other.error, process)],
        "seen": seen,
        "ended": f"{ended.how} {ended.error}".strip(),
        "next": "done",
        "finally_wrong": laboratory.finally_wrong(folder, [laboratory.after]),
        "left": [],
    }


def _told(how: str, error: str, process: int) -> str:
    """Return how another writer ended; `busy` where it was told who writes, `busy, unnamed` where it was not."""
    if how == "refused" and error.startswith("IndexBusy") and f"process {process}." in error:
        return "busy"
    return "busy, unnamed" if error.startswith("IndexBusy") and "process unknown." in error else f"{how} {error}"


def _is_under_the_lock(write: str) -> bool:
    """Return whether a write is one at which readers need not wait: SQLite opens and closes a file alone."""
    return ".sqlite" not in write or (write.startswith("pwrite64") and write.endswith("-wal"))


def main(place: str, most: str) -> None:
    """Write what happened, a line for each first writer."""
    laboratory = Laboratory(SCENARIOS["update"], Path(place))
    for first in ("build", "rebuild"):
        sys.stdout.write(json.dumps(while_one_embeds(laboratory, first)) + "\n")
    points = [point for point, write in enumerate(laboratory.writes, start=1) if _is_under_the_lock(write)]
    for number in chosen([laboratory.writes[point - 1] for point in points], int(most)):
        sys.stdout.write(json.dumps(while_one_is_stopped(laboratory, points[number - 1])) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
