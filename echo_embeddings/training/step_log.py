"""What was done at each step, a line of JSON a step in the adapter's folder. Knows no model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path

TUNING_LOG = "log.jsonl"
"""The file's name."""


@dataclass(frozen=True, slots=True)
class TuningStep:
    """What a step did: its number from 1, its source, loss and rate of learning, pairs and tokens a second.

    `held_out` is the mean reciprocal rank x100 of the held-out pairs after it, None where it was not measured. Step 0
    is before all others: it has no loss, only that.
    """

    number: int
    source: str = ""
    loss: float | None = None
    learning_rate: float = 0.0
    pairs_per_second: float = 0.0
    tokens_per_second: float = 0.0
    held_out: float | None = None


class StepLog:
    """The log of a training that stands at step `kept`: what was logged after it is made again, and is cut off.

    None keeps nothing, for a training that begins.

    Raises:
        OSError: the file cannot be read or written.
    """

    def __init__(self, folder: Path, *, kept: int | None) -> None:
        self._path = folder / TUNING_LOG
        lines = [] if kept is None or not self._path.exists() else self._path.read_text(encoding="utf-8").splitlines()
        # each is written before its checkpoint, so only what comes after can be half a line
        until = takewhile(lambda line: line.endswith("}") and json.loads(line)["number"] <= kept, lines)
        self._path.write_text("".join(f"{line}\n" for line in until), encoding="utf-8")

    def add(self, step: TuningStep) -> None:
        """Write a step."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(step)) + "\n")
