"""Recognize text with RapidOCR, whose package brings its models: they are never downloaded."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from math import atan2, cos, dist, sin
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from echo_index.errors import DocumentError
from echo_index.indexer.documents.ocr.lines import Area, Line, Word

if TYPE_CHECKING:
    from PIL.Image import Image

Point = tuple[float, float]
Corners = tuple[Point, Point, Point, Point]
"""Of a line of text: its top left, top right, bottom right and bottom left one, as the text is read."""

_DETECTOR, _RECOGNIZER = "PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx"
_MAX_DETECTION_SIDE = 1600  # pixels; lines of small print are still found, in half the time of 2,400
_MIN_CONFIDENCE = 0.5  # in a line; what is less sure is a texture, or part of a drawing
_SAMPLES = 5  # lines that tell which way is up
_MIN_UPRIGHT = 0.85  # mean confidence in these; text that is upside down has less
_MIN_LENGTH = 3  # times as long as high: only such lines tell the slope


class RapidEngine:
    """RapidOCR, with one thread."""

    def __init__(self, version: str) -> None:
        """Take the version of the package. The models are loaded with the first picture."""
        self.name = f"rapidocr {version}"

    @classmethod
    def installed(cls) -> RapidEngine | None:
        """Return the engine if its packages and models are installed."""
        if find_spec("onnxruntime") is None:
            return None
        try:
            return cls(version("rapidocr")) if _models() else None
        except PackageNotFoundError:
            return None

    def recognize(self, picture: Image, *, seconds: float) -> Sequence[Line]:
        """Return the lines of a gray picture, turned upright."""
        give_up = time.process_time() + seconds
        upright, lines = self._upright(picture)
        found = []
        for corners in lines:
            if time.process_time() > give_up:
                raise DocumentError(f"Recognizing it took longer than {seconds:g} seconds.")
            if words := self._words(upright, corners):
                found.append((corners, words))
        angle = _angle([corners for corners, _ in found])
        return [Line(words, _area(corners, angle)) for corners, words in found]

    @cached_property
    def _engine(self) -> Any:
        """The engine with its models, which are large."""
        from rapidocr import RapidOCR

        models = _models()
        if models is None:
            raise DocumentError("The models of rapidocr are missing.")
        detector, recognizer = models
        return RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.max_side_len": _MAX_DETECTION_SIDE,
                "Global.use_cls": False,
                "Det.model_path": str(detector),
                "Rec.model_path": str(recognizer),
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )

    def _upright(self, picture: Image) -> tuple[Image, list[Corners]]:
        """Return the picture turned by quarters so that its text is upright, and where its lines are."""
        from PIL.Image import Transpose

        lines = self._detect(picture)
        if _are_vertical(lines):
            picture = picture.transpose(Transpose.ROTATE_90)
            lines = self._detect(picture)
        confidence = self._sample(picture, lines)
        if confidence < _MIN_UPRIGHT:
            turned = picture.transpose(Transpose.ROTATE_180)
            turned_lines = self._detect(turned)
            if self._sample(turned, turned_lines) > confidence:
                return turned, turned_lines
        return picture, lines

    def _detect(self, picture: Image) -> list[Corners]:
        boxes = self._run(picture, detects=True).boxes
        return [] if boxes is None else [_corners(box) for box in boxes]

    def _run(self, picture: Image, *, detects: bool) -> Any:
        """Return what the engine says of a picture: where lines are, or what the line says that it shows.

        Raises:
            DocumentError: the engine failed.
        """
        try:
            return self._engine(
                _pixels(picture), use_det=detects, use_rec=not detects, use_cls=False, return_word_box=True
            )
        except MemoryError:
            raise
        except Exception as error:  # it may raise anything; the next page may be read
            raise DocumentError(f"RapidOCR failed ({type(error).__name__}).") from error

    def _sample(self, picture: Image, lines: Sequence[Corners]) -> float:
        """Return the confidence in the longest lines; 1 if there are none."""
        longest = sorted(lines, key=lambda corners: -dist(corners[0], corners[1]))[:_SAMPLES]
        return fmean([self._read(picture, corners)[1] for corners in longest]) if longest else 1.0

    def _words(self, picture: Image, corners: Corners) -> tuple[Word, ...]:
        text, confidence, characters = self._read(picture, corners)
        return tuple(_words(text, characters)) if confidence >= _MIN_CONFIDENCE else ()

    def _read(self, picture: Image, corners: Corners) -> tuple[str, float, list[float]]:
        """Return the text of a line, the confidence in it, and in each of its characters."""
        result = self._run(_cut_out(picture, corners), detects=False)
        return result.txts[0], result.scores[0], result.word_results[0].confs


def _words(text: str, confidences: Sequence[float]) -> Iterator[Word]:
    """Yield the words of a line. One is as sure as its least sure character."""
    for match in re.finditer(r"\S+", text):
        yield Word(match[0], min(confidences[match.start() : match.end()], default=0.0))


def _models() -> tuple[Path, Path] | None:
    """Return the files of the two models; None if one is missing."""
    package = find_spec("rapidocr")
    folder = Path(package.origin).parent / "models" if package and package.origin else None
    paths = (folder / _DETECTOR, folder / _RECOGNIZER) if folder else None
    return paths if paths and all(path.is_file() for path in paths) else None


def _corners(box: Any) -> Corners:
    top_left, top_right, bottom_right, bottom_left = ((float(x), float(y)) for x, y in box)
    return top_left, top_right, bottom_right, bottom_left


def _pixels(picture: Image) -> Any:
    import numpy as np

    return np.asarray(picture.convert("RGB"))


def _cut_out(picture: Image, corners: Corners) -> Image:
    """Return a line as a picture of its own, without its slope."""
    from PIL.Image import Resampling, Transform

    (top_left, top_right, bottom_right, bottom_left) = corners
    width = max(dist(top_left, top_right), dist(bottom_left, bottom_right))
    height = max(dist(top_left, bottom_left), dist(top_right, bottom_right))
    size = max(1, round(width)), max(1, round(height))
    quadrilateral = (*top_left, *bottom_left, *bottom_right, *top_right)
    return picture.transform(size, Transform.QUAD, quadrilateral, resample=Resampling.BICUBIC)


def _are_vertical(lines: Sequence[Corners]) -> bool:
    """Return whether most of the text runs upward or downward."""
    vertical = horizontal = 0.0
    for top_left, top_right, _, bottom_left in lines:
        width, height = dist(top_left, top_right), dist(top_left, bottom_left)
        vertical += height if height > _MIN_LENGTH * width else 0
        horizontal += width if width > _MIN_LENGTH * height else 0
    return vertical > horizontal


def _angle(lines: Sequence[Corners]) -> float:
    """Return the slope of the lines in radians."""
    long = [line for line in lines if dist(line[0], line[1]) > _MIN_LENGTH * dist(line[0], line[3])]
    return median(atan2(line[1][1] - line[0][1], line[1][0] - line[0][0]) for line in long) if long else 0.0


def _area(corners: Corners, angle: float) -> Area:
    """Return where a line is on the page without its slope."""
    (left, top), (right, above), (end, bottom), (begin, below) = (
        (x * cos(angle) + y * sin(angle), y * cos(angle) - x * sin(angle)) for x, y in corners
    )
    return Area((left + begin) / 2, (top + above) / 2, (right + end) / 2, (bottom + below) / 2)
