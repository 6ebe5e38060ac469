"""What readers of JSON and YAML have in common: the file as events in the order of its characters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["mapping", "sequence", "scalar", "end"]


@dataclass(frozen=True, slots=True)
class Event:
    """The start of a mapping or a sequence, its end, or a scalar: a key or a value.

    `offset` is where it begins in the text, that of an "end" where it ends. `value` is the text of a scalar.
    """

    kind: Kind
    offset: int
    value: str = ""
