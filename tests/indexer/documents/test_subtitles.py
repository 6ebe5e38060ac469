"""Subtitles are read as what is said, and each is a place."""

from __future__ import annotations

from pathlib import Path

import pytest

from echo_index.errors import DocumentError
from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.formats import parse_document


def read(source: str, suffix: str = ".srt") -> Document:
    return parse_document(source.encode(), Path(f"a{suffix}"))


def places(document: Document) -> list[tuple[str, str]]:
    """Return the name and the first word of each place."""
    return [(place.name, document.text[place.offset :].split()[0]) for place in document.places]


SRT = """1
00:00:06,500 --> 00:00:09,000
<i>The lamp burns</i>
{\\an8}colza oil &

2
00:01:20,000 --> 00:01:22,000
1811 was the year.
3
00:01:22,100 --> 00:01:24,000
- Was it?
- It was.
"""


def test_srt_is_running_text_without_numbers_and_tags() -> None:
    document = read(SRT)
    assert document.text == "The lamp burns colza oil &\n\n1811 was the year.\n- Was it?\n- It was."
    assert document.format == "subtitles"
    assert places(document) == [("00:00:06", "The"), ("00:01:20", "1811"), ("00:01:22", "-")]


def test_the_notes_styles_names_and_settings_of_vtt_are_not_shown() -> None:
    document = read(
        "WEBVTT - about\n\nNOTE of the maker\nin two lines\n\nSTYLE\n::cue {}\n\nintro\n"
        "00:01.000 --> 00:02.000 align:start\nOne <b.loud>lamp</b>.\n\n"
        "00:02.000 --> 00:03.000\nTwo <00:02.500><c>&lt;lamps&gt;</c>.\n",
        ".vtt",
    )
    assert document.text == "One lamp. Two <lamps>."
    assert places(document) == [("00:00:01", "One"), ("00:00:02", "Two")]


def test_a_speaker_stands_before_what_is_said_when_another_one_begins() -> None:
    document = read(
        "WEBVTT\n\n00:01.000 --> 00:02.000\n<v.first Roger Bingham>It was\n\n"
        "00:02.000 --> 00:03.000\n<v Roger Bingham>in 1811.</v>\n<v Ann>Really?</v>\n",
        ".vtt",
    )
    assert document.text == "Roger Bingham: It was in 1811.\nAnn: Really?"


def test_what_rolling_captions_repeat_is_read_once() -> None:
    document = read(
        "WEBVTT\n\n00:01.000 --> 00:02.000\nthe lamp burns\n\n00:02.000 --> 00:02.010\nthe lamp burns\n\n"
        "00:02.010 --> 00:04.000\nthe lamp burns\ncolza\n\n00:04.000 --> 00:05.000\ncolza oil.\n",
        ".vtt",
    )
    assert document.text == "the lamp burns colza oil."


def test_what_is_said_twice_with_a_pause_is_read_twice() -> None:
    assert read("1\n00:00:01,000 --> 00:00:02,000\nNo.\n\n2\n00:00:03,000 --> 00:00:04,000\nNo.\n").text == "No. No."


def test_captions_without_full_stops_keep_their_lines() -> None:
    """A line is then what a search finds."""
    cues = "".join(f"00:{n:02}.000 --> 00:{n + 1:02}.000\nline {n}\n\n" for n in range(3))
    assert read(f"WEBVTT\n\n{cues}", ".vtt").text == "line 0\nline 1\nline 2"


def test_a_paragraph_does_not_grow_without_end() -> None:
    cues = "".join(f"00:{n:02}.000 --> 00:{n + 1:02}.000\nThis is a sentence.\n\n" for n in range(60))
    assert max(map(len, read(f"WEBVTT\n\n{cues}", ".vtt").text.split("\n\n"))) < 450


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "cp1252"])
def test_subtitles_may_have_any_encoding_and_line_end(encoding: str) -> None:
    source = "1\r\n00:00:01,000 --> 00:00:02,000\r\nDie Größe der Lüge über Öl.\r\n"
    document = parse_document(source.encode(encoding), Path("a.srt"))
    assert document.text == "Die Größe der Lüge über Öl."


@pytest.mark.parametrize("source", ["WEBVTT\n\nNOTE nothing\n", "1\n2\n", "00:00:01,000 --> 00:00:02,000\n"])
def test_a_file_without_subtitles_is_an_error(source: str) -> None:
    with pytest.raises(DocumentError, match=r"^There are no subtitles in it\.$"):
        read(source)
