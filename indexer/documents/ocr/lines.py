"""What is recognized in a picture: lines of words, and where they are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Area:
    """An upright rectangle in pixels. `top` is less than `bottom`."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def height(self) -> float:
        """The height in pixels."""
        return self.bottom - self.top

    @property
    def middle(self) -> float:
        """The height of its middle on the page."""
        return (self.top + self.bottom) / 2


@dataclass(frozen=True, slots=True)
class Word:
    """A recognized word, and the confidence in it from 0 to 1."""

    text: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Line:
    """Words that stand on one line without a wide gap between them, and the area that they take."""

    words: tuple[Word, ...]
    area: Area

    @property
    def text(self) -> str:
        """The words with spaces between them."""
        return " ".join(word.text for word in self.words)
