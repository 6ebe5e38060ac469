"""The one place where defaults live. Knows nothing of how they are asked for or used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """What a command does when nothing else is said."""

    index_dir: Path = Path(".echo-index")
    results: int = 5
    passages: int = 3
    """Given to the model that answers a question; small models do worse with more."""
    answer_tokens: int = 120
    chunk_tokens: int = 200
    overlap_tokens: int = 30
    longest_excerpt: int = 500
    """Characters of a passage that `search` prints."""


DEFAULTS = Settings()
