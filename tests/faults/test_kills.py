"""A build may die at any instant: what was there is still answered, and the next build ends as if nothing had been."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from repository import SOAK

from .harness import FIGURES, listed, run_program, sweep
from .scenarios import SCENARIOS


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_killed_at_a_write_nothing_is_lost(library: Path, tmp_path: Path, scenario: str) -> None:
    faults = ("killed before it", "killed half way through it")
    outcomes = sweep(scenario, tmp_path, faults, library=library)
    FIGURES["kills at a write point"] += len(outcomes)
    assert len(outcomes) > (100 if SOAK else 10)
    assert [outcome for outcome in outcomes if outcome["ended"]["how"] != "killed"] == []
    wrong = [outcome for outcome in outcomes if not _nothing_lost(outcome)]
    assert not wrong, listed(wrong)
    assert {outcome["seen"] for outcome in outcomes} == {"before", "after"}


def _nothing_lost(outcome: dict[str, Any]) -> bool:
    return (
        outcome["seen"] in ("before", "after")
        and outcome["resumed"] == "done"
        and not outcome["finally_wrong"]
        and not outcome["in_vain"]
    )


@pytest.mark.parametrize(
    "max_tokens",
    [
        pytest.param(200, id="every passage asks a pseudo-question"),
        pytest.param(40, id="some passages ask pseudo-questions"),
    ],
)
def test_killed_at_random_nothing_is_lost(tiny_folder: Path, tmp_path: Path, max_tokens: int) -> None:
    kills = 125 if SOAK else 10 if max_tokens == 200 else 6
    told = _kill_at_random(str(tiny_folder), tmp_path, documents=30, max_tokens=max_tokens, kills=kills, seconds=1.0)
    assert (told["passages"] < 128) == (max_tokens == 200)


@pytest.mark.model
def test_killed_at_random_a_build_of_the_default_model_loses_nothing(tmp_path: Path) -> None:
    kills = 10 if SOAK else 2
    _kill_at_random("gemma3-270m", tmp_path, documents=9 if SOAK else 8, max_tokens=60, kills=kills, seconds=3.0)


def _kill_at_random(
    model: str, place: Path, *, documents: int, max_tokens: int, kills: int, seconds: float
) -> dict[str, Any]:
    words = (documents, max_tokens, kills, seconds)
    [told] = run_program("random_kills", model, str(place / "lab"), *map(str, words))
    FIGURES["kills at random"] += told["kills"]
    FIGURES["kills at random, while embedding"] += told["kills_in_embedding"]
    assert told["wrong"] == []
    assert told["kills"] == kills
    assert told["kills_in_embedding"] > kills // 10
    assert told["passages"] > 10
    return dict(told)
