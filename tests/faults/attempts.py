"""One act after the other in processes of their own, forked and disturbed, and what became of each.

Runs as a program, in a fresh process with one thread and the library preloaded: python -m faults.attempts
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from echo_index.errors import EchoIndexError

from .answers import Answers, difference, read_answers
from .failing_writes import FAULTS, Fault, arm
from .journal import Journal, JournalWordEncoder
from .scenarios import INDEX, SCENARIOS, Act, Scenario, build, rebuild

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder

_PATIENCE = 90  # seconds an attempt may take: more than SQLite waits for a lock


@dataclass(frozen=True)
class Ended:
    """How an attempt ended: `done`, `refused` (an error of ours), `broke` (any other) or `killed`; and the error."""

    how: str
    error: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of a fault at one write point.

    `seen`: what a reader saw afterwards, `before` or `after` or what was wrong. `way`: what was done next, the same
    `again` or a `build`, and `resumed` how that ended. `finally_wrong`: how the index then differs from an undisturbed
    one, '' where it does not. `in_vain`: how many texts were embedded twice without need.
    """

    point: int
    call: str
    fault: str
    ended: Ended
    seen: str
    way: str
    resumed: str
    finally_wrong: str
    in_vain: int


def attempt(act: Callable[[], None]) -> Ended:
    """Let a forked process act, to its end."""
    return ended_of(*start(act))


def start(act: Callable[[], None]) -> tuple[int, int]:
    """Let a forked process act; return its id and where it will say how it ended."""
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    signal.alarm(_PATIENCE)
    try:
        act()
        ended = Ended("done")
    except EchoIndexError as error:
        ended = Ended("refused", f"{type(error).__name__}: {error}")
    except BaseException as error:  # noqa: BLE001
        *_, place = traceback.extract_tb(error.__traceback__)
        ours = [f for f in traceback.extract_tb(error.__traceback__) if "/indexer/" in f.filename] or [place]
        where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
        ended = Ended("broke", f"{where} {type(error).__name__}: {error}")
    os.write(writing, json.dumps(asdict(ended)).encode())
    os._exit(0)


def ended_of(process: int, reading: int) -> Ended:
    """Wait for the end of an attempt."""
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(process, 0)
    if told:
        return Ended(**json.loads(told))
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    return Ended("killed") if number == signal.SIGKILL else Ended("broke", f"ended with status {status}")


class Laboratory:
    """A scenario that is prepared once, and disturbed in copies of it; `copies` is the folder where they lie."""

    def __init__(self, scenario: Scenario, place: Path, *, copies: Path | None = None) -> None:
        self.scenario = scenario
        self.place = place
        self.copies = copies or place / "copies"
        self.prepared = place / "prepared/docs"
        self.prepared.parent.mkdir(parents=True)
        self.encoder: EchoEncoder = JournalWordEncoder(Journal(place / "no-journal"))  # type: ignore[assignment]
        _finish(attempt(lambda: scenario.prepare(self.prepared, self.encoder)))
        self.before = self.read(self.prepared)
        self.after, self.embedded = self._undisturbed(scenario.act)
        self.built, _ = self._undisturbed(build)
        self.after_and_built, _ = self._undisturbed(scenario.act, build)

    def read(self, folder: Path) -> Answers | None:
        """Read as any reader does."""
        return read_answers(folder / INDEX, self.encoder)

    def copy(self) -> Path:
        """Return a fresh copy of what was prepared; the one before is thrown away."""
        copy = self.copies / "docs"
        shutil.rmtree(copy, ignore_errors=True)
        return Path(shutil.copytree(self.prepared, copy))

    def journal(self) -> Journal:
        """Return an empty journal."""
        path = self.place / "journal"
        path.unlink(missing_ok=True)
        return Journal(path)

    def disturbed(self, point: int, fault: Fault, *, next_act: Act | None = None) -> Outcome:
        """Let a fault happen at one write point of the act, read, and act again, or otherwise, undisturbed."""
        folder = self.copy()
        return self.outcome(
            folder,
            point,
            (self.writes[point - 1], fault.name),
            begin=lambda: arm(folder, fault, at=point),
            next_act=next_act,
        )

    def outcome(
        self,
        folder: Path,
        point: int,
        names: tuple[str, str],
        *,
        begin: Callable[[], None],
        end: Callable[[], None] = lambda: None,
        next_act: Act | None = None,
    ) -> Outcome:
        """Act in a process that begins with a fault, read, let the fault end, and act again, or otherwise."""
        journal = self.journal()
        encoder: EchoEncoder = JournalWordEncoder(journal)  # type: ignore[assignment]

        def act_disturbed() -> None:
            begin()
            self.scenario.act(folder, encoder)

        ended = attempt(act_disturbed)
        seen = self.seen(folder)
        end()
        journal.attempt += 1
        resumed = attempt(lambda: (next_act or self.scenario.act)(folder, encoder))
        expected = [self.after]
        if next_act:  # it may finish what was begun, or forget it
            expected = [self.after_and_built, *([self.built] if seen != "after" else [])]
        in_vain = 0
        if not next_act and not (seen == "after" and self.scenario.act is rebuild):  # it was done, and was done anew
            in_vain = len(journal.embedded_in_vain()) + len(self.embedded ^ journal.texts())
        told = f"{resumed.how} {resumed.error}".strip()
        way = "build" if next_act else "again"
        return Outcome(point, *names, ended, seen, way, told, self.finally_wrong(folder, expected), in_vain)

    def seen(self, folder: Path) -> str:
        """Return which of the two states a reader finds: before or after; else what went wrong."""
        try:
            answers = self.read(folder)
        except Exception as error:  # noqa: BLE001
            return f"{type(error).__name__}: {error}"
        wrong = difference(answers, self.before)
        if not wrong:
            return "before"
        return "after" if not difference(answers, self.after) else f"neither: {wrong}"

    def finally_wrong(self, folder: Path, expected: Sequence[Answers | None]) -> str:
        """Return how an index differs from the nearest of those that are expected, '' where it is like one of them."""
        try:
            answers = self.read(folder)
        except Exception as error:  # noqa: BLE001
            return f"{type(error).__name__}: {error}"
        return min((difference(answers, state) for state in expected), key=len)

    def _undisturbed(self, *acts: Act) -> tuple[Answers | None, set[str]]:
        folder, journal = self.copy(), self.journal()
        encoder: EchoEncoder = JournalWordEncoder(journal)  # type: ignore[assignment]
        for act in acts:
            _finish(attempt(lambda act=act: act(folder, encoder)))  # type: ignore[misc]
        return self.read(folder), journal.texts()

    @cached_property
    def writes(self) -> list[str]:
        """Return the calls that write, in their order: "call path"."""
        folder, record = self.copy(), self.place / "writes"

        def act_recorded() -> None:
            arm(folder, FAULTS["nothing"], record=record)
            self.scenario.act(folder, self.encoder)

        _finish(attempt(act_recorded))
        return record.read_text().splitlines()


def chosen(writes: Sequence[str], most: int) -> list[int]:
    """Return up to about `most` write points: the first and the last of each kind, and others evenly; 0: all."""
    if not most or len(writes) <= most:
        return [*range(1, len(writes) + 1)]
    kinds_of = [re.sub(r"\d+", "", write) for write in writes]  # generations and processes make no difference
    first = {kind: number for number, kind in reversed([*enumerate(kinds_of, start=1)])}
    last = {kind: number for number, kind in enumerate(kinds_of, start=1)}
    kinds = sorted({*first.values(), *last.values()})
    if len(kinds) > most:
        kinds = kinds[:: -(-len(kinds) // most)]
    rest = [*range(1, len(writes) + 1)]
    return sorted({*kinds, *rest[:: max(1, len(rest) // max(1, most - len(kinds)))]})


def sweep(scenario: Scenario, place: Path, faults: Sequence[Fault], most: int) -> Iterator[Outcome]:
    """Yield the outcome of each fault at each write point; or of one fault at each of `most` of them."""
    laboratory = Laboratory(scenario, place)
    points = chosen(laboratory.writes, most)
    for number, point in enumerate(points):
        for turn, fault in enumerate(faults):
            if 0 < most < len(laboratory.writes) and number % len(faults) != turn:
                continue  # in the short form, each point meets one of the faults
            for next_act in (None,) if scenario.act is build else (None, build):
                yield laboratory.disturbed(point, fault, next_act=next_act)


def _finish(ended: Ended) -> None:
    if ended.how != "done":
        raise RuntimeError(f"an undisturbed act {ended.how}: {ended.error}")


def main(scenario: str, place: str, most: str, *faults: str) -> None:
    """Write an outcome a line."""
    began = time.monotonic()
    for outcome in sweep(SCENARIOS[scenario], Path(place), [FAULTS[name] for name in faults], int(most)):
        sys.stdout.write(json.dumps(asdict(outcome)) + "\n")
    sys.stderr.write(f"{time.monotonic() - began:.1f} s\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
