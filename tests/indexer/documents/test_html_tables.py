"""HTML tables: each value stands under its own column, and a table says what its header is."""

from __future__ import annotations

import time

from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.readers.html.reader import read_html


def read(rows: str, attributes: str = "") -> Document:
    return read_html(f"<p>Before.</p><table {attributes}>{rows}</table><p>After.</p>".encode())


def rows(source: str, attributes: str = "") -> list[str]:
    return read(source, attributes).text.removeprefix("Before.\n\n").removesuffix("\n\nAfter.").split("\n")


HEADER = "<tr><th>Region<th>Town<th>People"


def test_a_value_stands_in_each_row_that_it_spans() -> None:
    page = f"{HEADER}<tr><td rowspan=2>North<td>Ardal<td>120<tr><td>Brekke<td>340<tr><td>South<td>Dale<td>5"
    assert rows(page)[1:] == ["North | Ardal | 120", "North | Brekke | 340", "South | Dale | 5"]


def test_spans_in_the_middle_and_at_the_end() -> None:
    page = f"{HEADER}<tr><td>a<td rowspan=3>b<td rowspan=2>c<tr><td>d<tr><td>e<td>f"
    assert rows(page)[1:] == ["a | b | c", "d | b | c", "e | b | f"]


def test_columns_that_a_value_spans_stay_empty_and_a_header_is_repeated() -> None:
    page = (
        "<tr><th rowspan=2>Ship<th colspan=2>Crew<tr><th>1990<th>2000"
        "<tr><td>Kelpie<td>7<td>9<tr><td colspan=2>None<td>4<tr><td colspan=3>All"
    )
    document = read(page)
    assert rows(page) == ["Ship | Crew | Crew", "Ship | 1990 | 2000", "Kelpie | 7 | 9", "None | | 4", "All"]
    assert document.tables[0].header == "Ship | Crew | Crew\nShip | 1990 | 2000"


def test_a_block_of_rows_and_columns() -> None:
    assert rows("<tr><td colspan=2 rowspan=2>a<td>b<tr><td>c") == ["a | | b", "a | | c"]


def test_empty_cells_before_the_first_value_are_marked() -> None:
    assert rows(f"{HEADER}<tr><td><td>Brekke<td>340<tr><td><td><td>5") == [
        "Region | Town | People", "| Brekke | 340", "| | 5",
    ]  # fmt: skip


def test_spans_end_with_their_group_of_rows() -> None:
    assert rows("<tbody><tr><td rowspan=0>a<td>b<tr><td>c<tbody><tr><td>d<td>e") == ["a | b", "a | c", "d | e"]
    assert rows("<tbody><tr><td rowspan=9>a<td>b<tbody><tr><td>d<td>e") == ["a | b", "d | e"]


def test_wrong_spans_count_as_one() -> None:
    assert rows("<tr><td colspan=0 rowspan=-3>a<td colspan=x>b<tr><td rowspan>c<td>d") == ["a | b", "c | d"]


def test_a_table_has_a_header_and_its_rows() -> None:
    page = f"<caption>Towns of <b>Norway</b></caption><thead>{HEADER}</thead><tr><td>x<td>y<td>z<tfoot><tr><td>sum"
    document = read(page)
    (table,) = document.tables
    assert table.header == "Towns of Norway\nRegion | Town | People"
    assert document.text[table.start : table.end] == "x | y | z\nsum"


def test_the_first_rows_of_headers_are_the_header() -> None:
    document = read("<tr><td><th>2020<th>2021<tr><th>Oslo<td>1<td>2<tr><th>a<th>b<th>c")
    (table,) = document.tables
    assert table.header == "| 2020 | 2021"
    assert document.text[table.start : table.end] == "Oslo | 1 | 2\na | b | c"


def test_rows_that_begin_empty_belong_to_the_table() -> None:
    document = read(f"{HEADER}<tr><td><td>Brekke<td>3")
    assert document.text[document.tables[0].start : document.tables[0].end] == "| Brekke | 3"


def test_tables_without_a_header_or_for_layout_are_not_listed() -> None:
    assert read("<tr><td>a<td>b").tables == ()
    assert read(HEADER).tables == ()
    assert read(f"{HEADER}<tr><td><h2>x</h2>").tables == ()
    assert read(f"{HEADER}<tr><td>x", "role=presentation").tables == ()


def test_a_table_in_a_table_is_listed_and_the_outer_one_is_for_layout() -> None:
    document = read(f"<tr><td><td rowspan=2>menu<td><table>{HEADER}<tr><td>x<td>y<td>z</table><tr><td>end")
    (table,) = document.tables
    assert document.text[table.start : table.end] == "x | y | z"
    assert document.text.count("menu") == 1
    assert rows("<tr><td><td>only", "role=presentation") == ["only"]


def test_offsets_are_right_after_other_tables() -> None:
    page = f"<h1>T</h1><table>{HEADER}<tr><td>1</table><ol><li>x<table>{HEADER}<tr><td><td>2</table></ol>"
    document = read_html(page.encode())
    assert [document.text[table.start : table.end] for table in document.tables] == ["1", "| 2"]


def test_cells_outside_of_a_table_are_read() -> None:
    assert read_html(b"<svg><td>a<td>b</td></td><tr><td>c</td></tr></svg>").text.split() == ["ab", "c"]


def test_hostile_spans_are_fast_and_add_little() -> None:
    wide = "<tr>" + "<td rowspan=65534>value" * 1000
    begun = time.process_time()
    for page in (
        wide + "<tr><td>x" * 20_000,
        "<tr><td colspan=1000000 rowspan=65534>x<td>y" * 20_000,
        ("<tr>" + "<th colspan=1000>" + "x" * 200) * 5_000 + "<tr><td>y",
        "<tr><td rowspan=65534>x" * 3_000,
        "<tr><td rowspan=999999999999>x<tr><td colspan=99999999999999>y<td>z",
    ):
        assert len(read(page).text) < 5_000_000
    assert time.process_time() - begun < 20
