"""What an engine for optical character recognition (OCR) does, and which one is installed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Protocol

from echo_index.indexer.documents.ocr.lines import Line
from echo_index.indexer.documents.ocr.rapid import RapidEngine
from echo_index.indexer.documents.ocr.tesseract import TesseractEngine

if TYPE_CHECKING:
    from PIL.Image import Image

INSTALL = 'pip install "echo-index[ocr]"'
"""The command that installs an engine."""


class Engine(Protocol):
    """Recognizes text in pictures."""

    @property
    def name(self) -> str:
        """The name of the engine with its version and all else that its results depend on."""

    def recognize(self, picture: Image, *, seconds: float) -> Sequence[Line]:
        """Return the lines of a gray picture in any order, as if the picture were turned upright.

        Raises:
            DocumentError: it took longer than `seconds` of computing, or the engine failed.
        """


@cache
def installed_engine() -> Engine | None:
    """Return RapidOCR if it is installed, else Tesseract if it is, else None. No model is loaded."""
    return RapidEngine.installed() or TesseractEngine.installed()
