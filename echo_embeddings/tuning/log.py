"""What was done at each step, a line of JSON a step in the adapter's folder. Knows no model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

TUNING_LOG = "log.jsonl"
"""The file's name."""


@dataclass(frozen=True, slots=True)
class TuningStep:
    """What a step did: its number from 1, its source, loss and rate of learning, pairs and tokens a second.

    `held_out` is the mean reciprocal rank x100 of the held-out pairs after it, None where it was not measured.
    """

    number: int
    source: str
    loss: float
    learning_rate: float
    pairs_per_second: float
    tokens_per_second: float
    held_out: float | None = None


class StepLog:
    """The log of a training that stands at step `kept`: what was logged after it is made again, and is cut off.

    Raises:
        OSError: the file cannot be read or written.
    """

    def __init__(self, folder: Path, *, kept: int) -> None:
        self._path = folder / TUNING_LOG
        before = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        self._path.write_text("".join(before.splitlines(keepends=True)[:kept]), encoding="utf-8")

    def add(self, step: TuningStep) -> None:
        """Write a step."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(step)) + "\n")
