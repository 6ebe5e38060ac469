"""Runs the programs of this folder in fresh processes, and keeps the figures that are told at the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from repository import SOAK

FIGURES: Counter[str] = Counter()
_TESTS = Path(__file__).parent.parent


def run_program(name: str, *words: str, preload: Path | None = None, **environment: str) -> list[Any]:
    """Run a module of this folder to its end and return the JSON lines that it wrote; OpenMP has one thread there."""
    run = subprocess.run(
        [sys.executable, "-m", f"faults.{name}", *words],
        env={**environment_of_programs(), **environment, **({"LD_PRELOAD": str(preload)} if preload else {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    return [json.loads(line) for line in run.stdout.splitlines()]


def sweep(scenario: str, place: Path, faults: Sequence[str], *, library: Path) -> list[Any]:
    """Return the outcomes of a scenario's disturbed writes: some of them, each with one fault; or all, in a soak."""
    if not SOAK:
        return run_program("attempts", scenario, str(place / "lab"), "14", *faults, preload=library)

    def all_with(fault: str) -> list[Any]:
        return run_program("attempts", scenario, str(place / fault.replace(" ", "-")), "0", fault, preload=library)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return [outcome for outcomes in threads.map(all_with, faults) for outcome in outcomes]


def environment_of_programs() -> dict[str, str]:
    """Return the environment in which `python -m faults.…` finds its modules."""
    path = os.pathsep.join([str(_TESTS.parent), str(_TESTS), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path.rstrip(os.pathsep), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def listed(outcomes: list[dict[str, Any]]) -> str:
    """Return outcomes that were not to be, a line each, like ones together."""
    lines = Counter(
        f"{outcome['fault']}, {outcome['call']}: {outcome['ended']['how']} {outcome['ended']['error'][:160]}; "
        f"a reader saw {outcome['seen']}; {outcome['way']}: {outcome['resumed']} {outcome['finally_wrong']}; "
        f"{outcome['in_vain']} texts in vain"
        for outcome in outcomes
    )
    shown = [f"{times} × {line}" for line, times in lines.most_common(30)]
    return "\n".join([f"{len(outcomes)} write points", *shown])
