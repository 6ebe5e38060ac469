"""Name the kinds of vector indexes and the devices on which they are searched, without loading FAISS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

IndexDevice = Literal["auto", "cpu", "gpu"]

EXACT_UP_TO = 100_000
"""The most vectors of an exact index; larger ones are approximate: compressed in cells, refined in 8 bits."""


@dataclass(frozen=True)
class Placement:
    """The device on which the index is searched, and the reason for the choice."""

    device: Literal["cpu", "gpu"]
    reason: str
