"""What a build tells of its progress."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

Stage = Literal["distributing", "reading", "embedding", "normalizing", "indexing", "publishing"]
Progress = Callable[[Stage, int, int | None], None]
"""Receives the stage, the number of items done, and the number of all items, or None if it is not known yet."""

OnRecognizing = Callable[[str], None]
"""Receives the page that OCR reads at the moment, such as "scan.pdf, page 3 of 40"; an empty text if it reads none."""
