"""Read subtitles (SRT, WebVTT) as running text: what is said, without numbers, times and tags."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import unescape

from echo_index.errors import DocumentError
from echo_index.indexer.documents.decoding import decode
from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.readers.invisible import without_invisible
from echo_index.indexer.documents.readers.parts import BETWEEN_PARTS, Parts

_TIMES = re.compile(
    r"[ \t]*(?:(\d{1,4}):)?(\d{1,2}):(\d{2})(?:[.,](\d{1,3}))?[ \t]*-->[ \t]*"
    r"(?:(\d{1,4}):)?(\d{1,2}):(\d{2})(?:[.,](\d{1,3}))?(?![\d:])"
)
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?[ \t]+([^<>]{1,200})>")
_VTT_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<[\d:.]+>|</>")
_SRT_TAG = re.compile(r"</?(?:[bius]|font|c|span|em|strong|ruby|rt)(?:[\s.][^<>]*)?/?>|\{\\[^{}]*\}", re.IGNORECASE)
_LINE_BREAK = re.compile(r"<br\s*/?>|\\[Nn](?!\w)", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’»)\]]*$")
_DIALOGUE = re.compile(r"[-–—]\s*\S")

_PAUSE = 3.0  # seconds without subtitles; a paragraph ends there
_ROLLING = 0.2  # seconds between subtitles of which one repeats the lines of the other
_LONG_PARAGRAPH = 400  # characters; it ends with the sentence
_LONGEST_PARAGRAPH = 600  # characters, without the end of a sentence
_FEW_SENTENCES = 8  # subtitles for each that ends a sentence


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a subtitle, and who says it, if that is known."""

    text: str
    speaker: str = ""


@dataclass(frozen=True, slots=True)
class _Cue:
    """The lines that are shown from `start` to `end`, in seconds."""

    start: float
    end: float
    lines: tuple[_Line, ...]


def read_srt(content: bytes) -> Document:
    """Return the text of subtitles in SubRip's format; each subtitle is a place, "00:01:20".

    Raises:
        DocumentError: the content cannot be decoded, or there is no subtitle in it.
    """
    return _document(_cues(decode(content), is_vtt=False))


def read_vtt(content: bytes) -> Document:
    """Return the text of subtitles in WebVTT; each subtitle is a place, "00:01:20". A speaker stands before a colon.

    Raises:
        DocumentError: the content cannot be decoded, or there is no subtitle in it.
    """
    return _document(_cues(decode(content), is_vtt=True))


def _cues(source: str, *, is_vtt: bool) -> list[_Cue]:
    lines = source.split("\n")
    starts = [(number, times) for number, line in enumerate(lines) if (times := _TIMES.match(line))]
    ends = [number for number, _ in starts[1:]] + [len(lines)] if starts else []
    cues = []
    for (number, times), end in zip(starts, ends, strict=True):
        between = lines[number + 1 : end]
        shown = _vtt_lines(between) if is_vtt else _srt_lines(between, is_last=end == len(lines))
        if found := tuple(shown):
            cues.append(_Cue(_seconds(*times.groups()[:4]), _seconds(*times.groups()[4:]), found))
    if not cues:
        raise DocumentError("There are no subtitles in it.")
    return cues


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str | None) -> float:
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{fraction or 0}")


def _srt_lines(lines: list[str], *, is_last: bool) -> Iterator[_Line]:
    """Yield what is shown of the lines between two lines with times. The last is the number of the next subtitle."""
    if not is_last and lines and lines[-1].strip().isdigit():
        lines = lines[:-1]
    for line in _clean_lines(_SRT_TAG.sub("", _LINE_BREAK.sub("\n", "\n".join(lines)))):
        yield _Line(line)


def _vtt_lines(lines: list[str]) -> Iterator[_Line]:
    """Yield what is shown of the lines between two lines with times.

    A blank line ends a subtitle. What follows are comments, styles, and the name of the next subtitle.
    """
    blank = next((number for number, line in enumerate(lines) if not line.strip()), len(lines))
    unvoiced, *voices = _VOICE.split(_LINE_BREAK.sub("\n", "\n".join(lines[:blank])))
    for speaker, source in [("", unvoiced), *zip(voices[::2], voices[1::2], strict=True)]:
        name = " ".join(unescape(speaker).split())
        for line in _clean_lines(_VTT_TAG.sub("", source)):
            yield _Line(line, name)


def _clean_lines(source: str) -> Iterator[str]:
    for line in without_invisible(unescape(source)).split("\n"):
        if words := " ".join(line.split()):
            yield words


def _document(cues: list[_Cue]) -> Document:
    parts = Parts()
    between_cues = _separator(cues)
    last, said = _Cue(0, 0, ()), _Line("")
    paragraph = 0  # characters so far
    for cue in cues:
        is_pause = cue.start - last.end >= _PAUSE
        for line in _new_lines(cue, last):
            is_other = bool(line.speaker) and line.speaker != said.speaker
            longest = _LONG_PARAGRAPH if _SENTENCE_END.search(said.text) else _LONGEST_PARAGRAPH
            separator = "\n" if is_other or _DIALOGUE.match(line.text) else between_cues
            if is_pause or paragraph > longest:
                separator, paragraph, is_pause = BETWEEN_PARTS, 0, False
            text = f"{line.speaker}: {line.text}" if is_other else line.text
            start = parts.add(text, separator=separator)
            parts.add_place(start, _time(cue.start))
            paragraph += len(text) + 1
            said = line
        last = cue
    return Document(text=parts.text(), title="", format="subtitles", places=tuple(parts.places))


def _separator(cues: list[_Cue]) -> str:
    """Return what stands between subtitles: a line end if they have no full stops, as those of speech recognition."""
    ends = sum(1 for cue in cues if _SENTENCE_END.search(cue.lines[-1].text))
    return " " if ends * _FEW_SENTENCES >= len(cues) else "\n"


def _new_lines(cue: _Cue, last: _Cue) -> tuple[_Line, ...]:
    """Return the lines of a subtitle that the one before does not show already, as rolling captions do."""
    lines, shown = cue.lines, last.lines
    if not shown or cue.start - last.end > _ROLLING:
        return lines
    for count in range(min(len(lines), len(shown)), 0, -1):
        if lines[:count] == shown[-count:]:
            return lines[count:]
    first, before = lines[0], shown[-1]
    if first.speaker == before.speaker and first.text.startswith(f"{before.text} "):  # it grows word by word
        return (replace(first, text=first.text[len(before.text) + 1 :]), *lines[1:])
    return lines


def _time(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02}:{minute:02}:{second:02}"
