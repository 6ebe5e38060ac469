"""The log of a training in the folder of its adapter: one line of JSON for each step."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path

TUNING_LOG = "log.jsonl"
"""The name of the file."""


@dataclass(frozen=True, slots=True)
class TuningStep:
    """One step: its number, counted from 1, the source of its pairs, its loss, learning rate and speed.

    `held_out` is the mean reciprocal rank x100 of the held-out pairs after the step; None if they were not ranked. Step
    0 is the model before training: it has no loss.
    """

    number: int
    source: str = ""
    loss: float | None = None
    learning_rate: float = 0.0
    pairs_per_second: float = 0.0
    tokens_per_second: float = 0.0
    held_out: float | None = None


class StepLog:
    """The log of a training that continues after step `resume_after`; lines of later steps are removed.

    If `resume_after` is None, the training is new and the log begins empty.

    Raises:
        OSError: the file cannot be read or written.
    """

    def __init__(self, folder: Path, *, resume_after: int | None) -> None:
        self._path = folder / TUNING_LOG
        is_new = resume_after is None or not self._path.exists()
        lines = [] if is_new else self._path.read_text(encoding="utf-8").splitlines()
        # Each line is written before the checkpoint of its step, so only a line after the checkpoint can be incomplete.
        valid = takewhile(lambda line: line.endswith("}") and json.loads(line)["number"] <= resume_after, lines)
        self._path.write_text("".join(f"{line}\n" for line in valid), encoding="utf-8")

    def add(self, step: TuningStep) -> None:
        """Append a step."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(step)) + "\n")
