"""The number of cores: those of the process, or fewer if the environment says so."""

from __future__ import annotations

import os

import pytest

from echo_index.embeddings.runtime.cores import available_cores


@pytest.mark.parametrize(("wanted", "expected"), [("1", 1), ("3", 3), ("64", 4), ("0", 4), ("many", 4), ("", 4)])
def test_fewer_cores_than_there_are(wanted: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 2, 4, 6}, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    assert available_cores() == expected


def test_all_cores_without_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert available_cores() == 5
