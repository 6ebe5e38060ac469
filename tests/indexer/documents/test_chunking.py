"""Chunks lose no text, respect the limit, and begin and end where a reader would expect it."""

from __future__ import annotations

import hashlib
import time
import tracemalloc
from array import array
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indexer_helpers import token_starts

from echo_index.indexer.documents.chunking import (
    Anchor,
    Chunk,
    Chunking,
    embedded_hash,
    embedded_text,
    split_into_chunks,
    title_path,
    with_table_header,
)
from echo_index.indexer.documents.document import Document, Heading, Place, Table


def cut(document: Document | str, *, limit: int = 200, overlap: int = 30) -> list[Chunk]:
    if isinstance(document, str):
        document = Document(text=document, title="", format="text", has_lines=True)
    starts = token_starts(document.text)
    return list(split_into_chunks(document, token_starts=starts, chunking=Chunking(limit, overlap)))


def marked_down(text: str) -> Document:
    """Return a document in which the lines that begin with # are headings."""
    headings, offset = [], 0
    for line in text.splitlines(keepends=True):
        if line.startswith("#"):
            marks, _, title = line.strip().partition(" ")
            headings.append(Heading(len(marks), title, offset))
        offset += len(line)
    return Document(text=text, title="", format="markdown", headings=tuple(headings), has_lines=True)


def sentences(count: int, *, words: int = 8, first: int = 0) -> str:
    return " ".join(
        f"Sentence {number} " + " ".join(["word"] * (words - 3)) + " ends." for number in range(first, first + count)
    )


def length(text: str) -> int:
    return len(token_starts(text))


# Properties of all documents


_PIECES = st.one_of(
    st.sampled_from(
        ["# A\n", "## B\n", "\n### C\n\n", "\n\n", "\n \t\n", "\n", ". ", "! ", "…” ", "。", "？」", "...... "]
    ),
    st.text(alphabet="abc ,.\n", max_size=60),
    st.text(max_size=30),
    st.sampled_from(
        ["漢字かな交じり文", "👩‍👩‍👧🏽", "e\u0301", "\u200b", "word " * 40, "x" * 500, "line of code();\n" * 9]
    ),
)
_TEXTS = st.lists(_PIECES, max_size=40).map("".join)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Document, list[int], Chunking]:
    """Return a document, token offsets (of words, characters, or arbitrary ones), and a chunking."""
    document = marked_down(draw(_TEXTS))
    size = len(document.text)
    starts = draw(
        st.sampled_from([token_starts(document.text), list(range(size)), list(range(0, size, 3))])
        | st.lists(st.integers(0, max(0, size - 1)), max_size=60, unique=True).map(sorted)
    )
    spans = sorted(draw(st.lists(st.integers(0, size), max_size=6, unique=True)))
    header = draw(st.sampled_from(["", "Name | Size", "word " * 30]))
    tables = tuple(Table(start, end, header) for start, end in zip(spans[::2], spans[1::2], strict=False))
    document = replace(document, tables=tables)
    return document, starts, Chunking(draw(st.sampled_from([1, 2, 3, 7, 20, 200])), draw(st.integers(0, 25)))


@settings(max_examples=400, deadline=None)
@given(cases())
def test_chunks_are_complete_short_enough_and_in_order(case: tuple[Document, list[int], Chunking]) -> None:
    document, starts, chunking = case
    chunks = list(split_into_chunks(document, token_starts=starts, chunking=chunking))
    covered = bytearray(len(document.text))
    for chunk in chunks:
        assert document.text[chunk.start : chunk.end] == chunk.text
        assert chunk.text == chunk.text.strip() != ""
        assert not chunk.table_header or any(table.start <= chunk.start < table.end for table in document.tables)
        assert sum(chunk.start <= start < chunk.end for start in starts) <= chunking.max_tokens
        covered[chunk.start : chunk.end] = b"\1" * (chunk.end - chunk.start)
    assert all(done or character.isspace() for done, character in zip(covered, document.text, strict=True))
    for before, after in pairwise(chunks):
        assert before.start < after.start
        assert before.end < after.end, "a chunk must not lie within the one before"


@settings(max_examples=100, deadline=None)
@given(_TEXTS, st.integers(0, 5))
def test_several_tokens_may_begin_at_one_character(text: str, overlap: int) -> None:
    """In some vocabularies, the bytes of an emoji do."""
    document = Document(text=text, title="", format="text")
    starts = sorted([*range(len(text)), *range(0, len(text), 2)])
    chunks = list(split_into_chunks(document, token_starts=starts, chunking=Chunking(3, overlap)))
    assert "".join(text.split()) == "" or chunks
    assert all(any(chunk.start <= at < chunk.end for chunk in chunks) for at, c in enumerate(text) if not c.isspace())


@pytest.mark.parametrize("text", ["", " \n\t\n "])
def test_a_text_of_white_space_has_no_chunks(text: str) -> None:
    assert cut(text) == []


def test_a_short_text_is_one_chunk() -> None:
    [chunk] = cut("\n\n One. Two.\n\nThree. \n")
    assert chunk == Chunk("One. Two.\n\nThree.", (), start=3, end=20, page=None, line=3)


# Overlap


def test_chunks_of_long_prose_overlap() -> None:
    chunks = cut(sentences(200))
    assert len(chunks) > 8
    shared = [length(before.text[after.start - before.start :]) for before, after in pairwise(chunks)]
    assert all(22 < tokens <= 30 for tokens in shared), shared
    assert all(chunk.text.startswith("Sentence") and chunk.text.endswith("ends.") for chunk in chunks)


def test_overlap_can_be_zero() -> None:
    chunks = cut(sentences(200), overlap=0)
    assert all(before.end < after.start for before, after in pairwise(chunks))


def test_the_overlap_shrinks_to_make_room_for_new_text() -> None:
    short, long = sentences(12), " ".join(["long"] * 95) + "."
    chunks = cut(f"{short} {long} {short} {long}", limit=100, overlap=30)
    assert [chunk.text for chunk in chunks if "long" in chunk.text and "Sentence" not in chunk.text] == [long, long]
    assert all(before.end < after.end for before, after in pairwise(chunks))


def test_balanced_chunks_each_contain_new_text() -> None:
    """Half of the remaining text would be the overlap, without the long sentence after it."""
    long, longer = " ".join(["long"] * 57) + " end.", " ".join(["long"] * 59) + " end."
    chunks = cut(f"{longer} {sentences(5)} {long} And that is the end.", limit=100, overlap=40)
    assert [length(chunk.text) for chunk in chunks] == [100, 98, 5]


def test_a_paragraph_end_within_the_overlap_does_not_end_a_chunk() -> None:
    chunks = cut(f"{sentences(5, words=6)}\n\n{sentences(20, words=6, first=5)}", limit=30, overlap=24)
    assert chunks[0].text == sentences(5, words=6)
    assert all(before.end < after.end for before, after in pairwise(chunks))


@pytest.mark.parametrize("overlap", [20, 21, 1000])
def test_an_overlap_as_large_as_the_limit_still_makes_progress(overlap: int) -> None:
    chunks = cut(sentences(30, words=4), limit=20, overlap=overlap)
    assert len(chunks) <= 30
    assert all(length(chunk.text) <= 20 for chunk in chunks)
    assert chunks[-1].text.endswith("Sentence 29 word ends.")


def test_sections_do_not_overlap() -> None:
    chunks = cut(marked_down(f"# One\n\n{sentences(40)}\n\n# Two\n\n{sentences(40, first=40)}"))
    two = next(number for number, chunk in enumerate(chunks) if chunk.headings == ("Two",))
    assert chunks[two].text.startswith("# Two")
    assert chunks[two - 1].end < chunks[two].start


# Headings, pages and lines


def test_a_heading_begins_a_chunk_and_is_in_its_path() -> None:
    text = f"{sentences(4)}\n\n# One\n\n{sentences(4)}\n\n## Inner\n\n{sentences(4)}\n\n# Two\n\nShort.\n"
    chunks = cut(marked_down(text))
    assert [(chunk.headings, chunk.text.split("\n")[0][:8]) for chunk in chunks] == [
        ((), "Sentence"),
        (("One",), "# One"),
        (("One", "Inner"), "## Inner"),
        (("Two",), "# Two"),
    ]
    assert [chunk.line for chunk in chunks] == [1, 3, 7, 11]


def test_a_short_section_is_merged_with_its_subsection() -> None:
    text = f"# Guide\n\nRead on.\n\n## Install\n\n### On Linux\n\n{sentences(4)}\n\n### On others\n\n{sentences(4)}"
    first, second = cut(marked_down(text))
    assert first.text.startswith("# Guide\n\nRead on.\n\n## Install\n\n### On Linux\n\nSentence 0")
    assert first.headings == ("Guide", "Install", "On Linux")
    assert second.headings == ("Guide", "Install", "On others")


def test_a_short_section_is_not_merged_with_its_sibling() -> None:
    chunks = cut(marked_down("# Cats\n\nThey purr.\n\n# Dogs\n\nThey bark.\n"))
    assert [chunk.text for chunk in chunks] == ["# Cats\n\nThey purr.", "# Dogs\n\nThey bark."]


def test_every_chunk_of_a_long_section_has_its_headings() -> None:
    chunks = cut(marked_down(f"# One\n\n{sentences(4)}\n\n## Long\n\n{sentences(100)}"))
    assert {chunk.headings for chunk in chunks[1:]} == {("One", "Long")}
    assert len(chunks) > 4


def test_a_chunk_has_the_page_on_which_it_begins() -> None:
    first, second = sentences(30), sentences(30, first=30)
    document = Document(text=f"{first}\n\n{second}", title="", format="pdf", pages=(0, len(first) + 2))
    chunks = cut(document)
    assert [chunk.page for chunk in chunks] == [1 if chunk.start < len(first) else 2 for chunk in chunks]
    assert {chunk.page for chunk in chunks} == {1, 2}
    assert all(chunk.line is None for chunk in chunks)


# Where chunks end


def test_a_chunk_ends_with_a_paragraph_if_it_is_long_enough_then() -> None:
    paragraphs = [sentences(9, first=9 * number) for number in range(40)]
    chunks = cut("\n\n".join(paragraphs), overlap=0)
    assert all(chunk.text.split("\n\n") == paragraphs[2 * n : 2 * n + 2] for n, chunk in enumerate(chunks))


def test_an_early_paragraph_end_does_not_end_the_chunk() -> None:
    first, *_ = cut(f"{sentences(3)}\n\n{sentences(100, first=3)}", overlap=0)
    assert length(first.text) == 200


def test_the_last_two_chunks_are_of_similar_length() -> None:
    one, two = cut(sentences(27), overlap=0)  # 216 words
    assert abs(length(one.text) - length(two.text)) <= 8
    one, two = cut(sentences(27), overlap=30)
    assert abs(length(one.text) - length(two.text)) <= 16


def test_long_code_is_split_at_line_ends() -> None:
    lines = [f"    value_{number} = compute(value_{number - 1}, {number})" for number in range(300)]
    chunks = cut("def f():\n" + "\n".join(lines))
    assert len(chunks) > 5
    assert {line.strip() for chunk in chunks for line in chunk.text.split("\n")} <= {
        "def f():",
        *(line.strip() for line in lines),
    }


def test_a_very_long_line_is_split_between_tokens() -> None:
    chunks = cut("word " * 450, overlap=0)
    assert [set(chunk.text.split()) for chunk in chunks] == [{"word"}] * len(chunks)
    assert max(length(chunk.text) for chunk in chunks) == 200


# Time


_MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("prose", (sentences(9) + "\n\n") * (_MEGABYTE // 450)),
        ("one line", "word " * (_MEGABYTE // 5)),
        ("no spaces", "x" * _MEGABYTE),
        ("full stops", "." * _MEGABYTE),
        ("quotes", '."' * (_MEGABYTE // 2)),
        ("white space", "a" + "\n \t" * (_MEGABYTE // 3) + "b"),
        ("empty lines", "\n" * _MEGABYTE + "end"),
        ("headings", "# Heading\n\nText.\n\n" * (_MEGABYTE // 18)),
        ("ideographs", "漢字。" * (_MEGABYTE // 3)),
    ],
)
def test_a_megabyte_takes_seconds_at_most(name: str, text: str) -> None:
    document = marked_down(text) if name == "headings" else Document(text=text, title="", format="text")
    starts = token_starts(text) if " " in text else list(range(0, len(text), 4))
    begun = time.process_time()
    chunks = list(split_into_chunks(document, token_starts=starts, chunking=Chunking()))
    assert time.process_time() - begun < 10
    assert chunks[-1].end >= len(text.rstrip()) - 1


def test_a_large_overlap_takes_seconds_too() -> None:
    begun = time.process_time()
    assert cut(sentences(12_000), limit=200, overlap=200)
    assert time.process_time() - begun < 10


@pytest.mark.parametrize("text", ["A line.\n" * 100_000, "word " * 200_000, "x" * 1_000_000])
def test_a_very_long_section_is_split_in_little_memory(text: str) -> None:
    starts = array("I", token_starts(text) if " " in text else range(0, len(text), 4))
    document = Document(text=text, title="", format="text", has_lines=True)
    tracemalloc.start()
    chunks = list(split_into_chunks(document, token_starts=starts, chunking=Chunking(200, 0)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40_000_000
    assert "".join("".join(chunk.text.split()) for chunk in chunks) == "".join(text.split())
    assert max(len(chunk.text) for chunk in chunks) <= 1000
    if " " in text:
        assert {chunk.text.split()[0] for chunk in chunks} <= {"A", "word", "line."}, "no word is split"


# Embedded text


@pytest.mark.parametrize(
    ("title", "headings", "text", "expected"),
    [
        ("", (), "Text.", "Text."),
        ("Guide", (), "Text.", "Guide\nText."),
        ("Guide", ("Install", "Linux"), "Text.", "Guide > Install > Linux\nText."),
        ("Guide", ("Guide", "Linux"), "Text.", "Guide > Linux\nText."),
        ("Guide", ("Guide", "Linux"), "## Linux\n\nText about the Guide.", "Guide\n## Linux\n\nText about the Guide."),
        ("Guide", ("Guide",), "# Guide\n\nText.", "# Guide\n\nText."),
        ("Guide", ("", "Linux"), "Text.", "Guide > Linux\nText."),
    ],
)
def test_embedded_text_contains_title_and_headings_once(
    title: str, headings: tuple[str, ...], text: str, expected: str
) -> None:
    assert embedded_text(title, headings, text) == expected


def test_long_headings_leave_room_for_the_text() -> None:
    prefix, _, text = embedded_text("T" * 500, ("far", "near"), "Text.").partition("\n")
    assert len(prefix) == 160
    assert prefix.endswith("T > far > near")
    assert text == "Text."


def test_the_context_comes_first_and_is_always_whole() -> None:
    assert embedded_text("", (), "Text.", context="Notes") == "Notes\nText."
    assert embedded_text("Sea", ("Tides",), "Text.", context="Notes") == "Notes > Sea > Tides\nText."
    assert embedded_text("Sea", (), "Sea\nText.", context="Sea notes") == "Sea notes\nSea\nText."
    assert embedded_text("Sea", ("Tides",), "Text.", context="All of the Sea") == "All of the Sea > Sea > Tides\nText."
    for length in (1, 100, 180, 196, 197, 198, 200):
        prefix, _, text = embedded_text("T" * 500, ("far", "near"), "Text.", context="C" * length).partition("\n")
        assert (prefix.startswith("C" * length), prefix.count("C"), text) == (True, length, "Text.")
        assert len(prefix) <= 200 and (prefix.endswith("near") or length > 193)


def test_the_hash_of_a_chunk_is_that_of_what_is_embedded() -> None:
    text = embedded_text("Sea", ("Tides",), "Text.", context="Notes")
    assert embedded_hash("Sea", ("Tides",), "Text.", context="Notes") == hashlib.sha256(text.encode()).digest()
    assert embedded_hash("Sea", (), "Text.", context="") != embedded_hash("Sea", (), "Text.", context="Notes")


def test_a_heading_contained_in_the_title_is_not_repeated() -> None:
    assert title_path("tempfile — Temporary files — Python", ("tempfile — Temporary files", "Examples")) == (
        "tempfile — Temporary files — Python",
        "Examples",
    )
    assert title_path("", ("Only",)) == ("Only",)


# Tables


def fleet(rows: int, *, before: str = "The fleet sails.\n\n", after: str = "\n\nThat is all of it.") -> Document:
    header = "Ship | Crew size"
    lines = "\n".join(f"Ship{number} | {number + 100} men." for number in range(rows))
    start = len(before) + len(header) + 1
    return Document(
        text=f"{before}{header}\n{lines}{after}",
        title="",
        format="html",
        tables=(Table(start, start + len(lines), header),),
    )


def test_a_long_table_is_cut_between_rows_and_each_part_has_the_header() -> None:
    first, *others = cut(fleet(60), limit=40, overlap=10)
    assert first.text.startswith("The fleet sails.\n\nShip | Crew size\nShip0 |")
    assert first.table_header == "", "its header is part of its text"
    assert {chunk.table_header for chunk in others if chunk.text.startswith("Ship")} == {"Ship | Crew size"}
    rows = [line for chunk in (first, *others) for line in chunk.text.splitlines() if "men" in line]
    assert rows == [f"Ship{number} | {number + 100} men." for number in range(60)], "each row once and whole"
    for chunk in others:
        assert length(with_table_header(chunk.table_header, chunk.text)) <= 40


def test_a_table_that_fits_stays_with_its_text() -> None:
    [chunk] = cut(fleet(4))
    assert chunk.text == fleet(4).text
    assert chunk.table_header == ""


def test_a_row_that_is_too_long_is_cut_and_keeps_the_header() -> None:
    header = "Name | Life"
    row = "Ada | " + "word " * 100
    document = Document(
        f"{header}\n{row}", "", "html", tables=(Table(len(header) + 1, len(header) + 1 + len(row), header),)
    )
    chunks = cut(document, limit=40)
    assert [chunk.table_header for chunk in chunks[1:]] == [header] * (len(chunks) - 1)
    assert len(chunks) > 2


def test_a_long_header_leaves_room_for_rows() -> None:
    header = "column " * 100
    text = f"{header}\n" + "\n".join(f"row {number}" for number in range(30))
    document = Document(text, "", "html", tables=(Table(len(header) + 1, len(text), header),))
    for chunk in cut(document, limit=40)[3:]:
        assert 0 < length(chunk.table_header) <= 20
        assert "row" in chunk.text


# Places


def test_changes_of_page_heading_and_place_have_anchors() -> None:
    text = "# A\n\nOne.\n\n## B\n\nTwo.\n\nThree."
    two, three = text.index("Two"), text.index("Three")
    document = replace(
        marked_down(text), pages=(0, two, three), places=(Place(0, "slide 1"), Place(three, "slide 2")), has_lines=False
    )
    [chunk] = cut(document)
    assert (chunk.page, chunk.place, chunk.headings) == (1, "slide 1", ("A", "B"))
    assert chunk.anchors == (
        Anchor(0, 1, "slide 1", ("A",)),
        Anchor(text.index("## B"), 1, "slide 1", ("A", "B")),
        Anchor(two, 2, "slide 1", ("A", "B")),
        Anchor(three, 3, "slide 2", ("A", "B")),
    )


def test_a_chunk_of_one_page_and_section_has_no_anchors() -> None:
    [chunk] = cut(replace(marked_down("# A\n\nOne. Two."), pages=(0,)))
    assert chunk.anchors == ()


def test_places_are_found_at_every_offset() -> None:
    document = Document("abcdef", "", "text", places=(Place(1, "row 1"), Place(4, "row 2")))
    assert [document.place(offset) for offset in range(6)] == ["row 1"] * 4 + ["row 2"] * 2
    assert replace(document, places=()).place(3) == ""
