"""Recognize text with Tesseract, if it is installed as a program."""

from __future__ import annotations

import csv
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import groupby
from shutil import which
from statistics import fmean, median
from typing import TYPE_CHECKING

from echo_index.errors import DocumentError
from echo_index.indexer.documents.ocr.lines import Area, Line, Word

if TYPE_CHECKING:
    from PIL.Image import Image

_QUESTION_SECONDS = 10
_PATIENCE = 4  # seconds for a second of computing, on a busy machine
_ORIENTATION = "osd"  # the data that tell which way is up, and no language
_MAX_LANGUAGES = 4  # each takes time
_WIDE_GAP = 2.0  # times the height of the line: between columns, or the cells of a table
_WORD_LEVEL = "5"  # of a row of the table
_DPI = "200"
_ROTATION = re.compile(r"^Rotate: (90|180|270)$", re.MULTILINE)
_CONFIDENCE = re.compile(r"^Orientation confidence: ([\d.]+)$", re.MULTILINE)
_MIN_ORIENTATION_CONFIDENCE = 2.0  # on its own scale; less means a guess
_ONE_THREAD = {"OMP_THREAD_LIMIT": "1"}
_MIN_CONFIDENCE = 0.5  # in a line, on average; what is less sure is a texture, or part of a drawing
_MAX_SLOPE = 40  # thousandths, upward or downward: about two degrees
_MAX_WORDS_FOR_SLOPE = 2_000


class TesseractEngine:
    """Tesseract, with the languages that are installed for it."""

    def __init__(self, program: str, *, version: str, languages: Sequence[str]) -> None:
        """Take the path of the program, its version, and what `--list-langs` names."""
        self._program = program
        self._can_orient = _ORIENTATION in languages
        self._languages = _chosen([language for language in languages if language != _ORIENTATION])
        self.name = f"tesseract {version} {self._languages}"

    @classmethod
    def installed(cls) -> TesseractEngine | None:
        """Return the engine if the program is on the PATH and has a language."""
        program = which("tesseract")
        if program is None:
            return None
        try:
            version = _answer([program, "--version"]).split("\n")[0].removeprefix("tesseract ").strip()
            languages = [line.strip() for line in _answer([program, "--list-langs"]).split("\n")[1:] if line.strip()]
        except (OSError, subprocess.SubprocessError):
            return None
        engine = cls(program, version=version, languages=languages)
        return engine if engine._languages else None

    def recognize(self, picture: Image, *, seconds: float) -> Sequence[Line]:
        """Return the lines of a gray picture, turned upright."""
        upright = self._upright(picture, seconds=seconds)
        table = self._run(upright, "-l", self._languages, "--psm", "3", "tsv", seconds=seconds)
        return [*_lines(table)]

    def _upright(self, picture: Image, *, seconds: float) -> Image:
        if not self._can_orient:
            return picture
        try:
            answer = self._run(picture, "--psm", "0", seconds=seconds)
        except DocumentError:  # there are too few characters
            return picture
        rotation, confidence = _ROTATION.search(answer), _CONFIDENCE.search(answer)
        if rotation is None or confidence is None or float(confidence[1]) < _MIN_ORIENTATION_CONFIDENCE:
            return picture
        return picture.rotate(-int(rotation[1]), expand=True)

    def _run(self, picture: Image, *options: str, seconds: float) -> str:
        file = BytesIO()
        picture.save(file, format="PPM")  # which takes no time to write and to read
        command = [self._program, "stdin", "stdout", "--dpi", _DPI, *options]
        try:
            return _answer(command, content=file.getvalue(), seconds=_PATIENCE * seconds)
        except subprocess.TimeoutExpired as error:
            raise DocumentError(f"Recognizing it took longer than {seconds:g} seconds.") from error
        except (OSError, subprocess.SubprocessError) as error:
            raise DocumentError("Tesseract failed.") from error


def _answer(command: Sequence[str], *, content: bytes = b"", seconds: float = _QUESTION_SECONDS) -> str:
    """Return what a command prints. It gets the environment without settings for more threads."""
    result = subprocess.run(
        command,
        input=content,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=seconds,
        check=True,
        env={**os.environ, **_ONE_THREAD},
    )
    return result.stdout.decode("utf-8", "replace")


def _chosen(languages: Sequence[str]) -> str:
    """Return the languages to use, English first: all that are installed, but no more than are fast enough."""
    scripts_last = sorted(languages, key=lambda language: (language != "eng", "/" in language, language))
    return "+".join(scripts_last[:_MAX_LANGUAGES])


@dataclass(frozen=True, slots=True)
class _Placed:
    """A word, where it is, and the number of its line."""

    word: Word
    area: Area
    line: tuple[str, str, str]


def _lines(table: str) -> Iterator[Line]:
    """Yield the lines of a table of words, divided at wide gaps, as if the page had no slope."""
    rows = csv.DictReader(table.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    words = [_placed(row) for row in rows if row["level"] == _WORD_LEVEL and (row["text"] or "").strip()]
    slope = _slope(words[:_MAX_WORDS_FOR_SLOPE])
    for _, group in groupby(words, key=lambda word: word.line):
        part: list[_Placed] = []
        for word in group:
            if part and word.area.left - part[-1].area.right > _WIDE_GAP * max(each.area.height for each in part[-8:]):
                yield from _line(part, slope)
                part = []
            part.append(word)
        yield from _line(part, slope)


def _placed(row: dict[str, str]) -> _Placed:
    left, top, width, height = (float(row[name]) for name in ("left", "top", "width", "height"))
    word = Word(row["text"].strip(), max(0.0, float(row["conf"])) / 100)
    return _Placed(
        word, Area(left, top, left + width, top + height), (row["block_num"], row["par_num"], row["line_num"])
    )


def _slope(words: Sequence[_Placed]) -> float:
    """Return by how much lines go down to the right: with that taken away, the most words stand at the same heights."""
    height = median([word.area.height for word in words]) if words else 1.0
    places = [((word.area.left + word.area.right) / 2, word.area.bottom) for word in words]

    def sharpness(thousandths: int) -> int:
        steps = Counter(round((bottom - x * thousandths / 1000) / (height / 4)) for x, bottom in places)
        return sum(count * count for count in steps.values())

    return max(range(-_MAX_SLOPE, _MAX_SLOPE + 1), key=lambda slope: (sharpness(slope), -abs(slope))) / 1000


def _line(words: Sequence[_Placed], slope: float) -> Iterator[Line]:
    """Yield the words as a line, if they are sure enough."""
    if not words or fmean(placed.word.confidence for placed in words) < _MIN_CONFIDENCE:
        return
    left, right = words[0].area.left, max(placed.area.right for placed in words)
    rise = slope * (left + right) / 2
    top, bottom = min(placed.area.top for placed in words), max(placed.area.bottom for placed in words)
    yield Line(tuple(placed.word for placed in words), Area(left, top - rise, right, bottom - rise))
