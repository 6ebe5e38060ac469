"""Name the devices on which vectors are searched, without loading FAISS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

IndexDevice = Literal["auto", "cpu", "gpu"]


@dataclass(frozen=True)
class Placement:
    """The device on which the index is searched, and the reason for the choice."""

    device: Literal["cpu", "gpu"]
    reason: str
