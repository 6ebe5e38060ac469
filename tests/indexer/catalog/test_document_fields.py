"""The catalog finds documents by dates and by what they say of themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from indexer_helpers import make_version_8

from echo_index.errors import ConditionError, FilterError
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.generation_summary import document_field_counts
from echo_index.indexer.catalog.records import ChunkRow, DocumentRow, LexicalQuery, SearchFilter
from echo_index.indexer.catalog.schema import SCHEMA_VERSION
from echo_index.indexer.conditions.dates import parse_date
from echo_index.indexer.documents.fields import Field
from echo_index.indexer.storage.sqlite import Database

PAPERS: Mapping[str, tuple[Field, ...]] = {
    "papers/ng.md": (Field("author", ("Andrew Ng",)), Field("year", (2024,)), Field("Tags", ("ml", "history"))),
    "papers/ada.pdf": (Field("Author", ("Ada Lovelace",)), Field("date", ("1843-10-01",))),
    "notes.txt": (),
}
TIMES = {"papers/ng.md": "2024-05-17T10:30Z", "papers/ada.pdf": "2023-12-31T12:00Z", "notes.txt": "2024-05-18T00:00Z"}


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with closing(Catalog(tmp_path / "catalog.sqlite", create=True)) as catalog:
        for path, fields in PAPERS.items():
            modified_ns = parse_date(TIMES[path]).start
            format = "markdown" if path.endswith("md") else path[-3:]
            row = DocumentRow(path, path, 1000, modified_ns, format, f"Of {path}", fields=fields)
            catalog.put_document(row, [_chunk(f"whales in {path}")], generation=1)
        given = DocumentRow("given", "given", 5, 0, "text", "Given as an object", fields=(Field("year", (2020,)),))
        catalog.put_document(given, [_chunk("whales that are no file")], generation=1)
        gone = DocumentRow("gone.md", "gone", 5, 10**18, "markdown", "Gone", fields=(Field("year", (2024,)),))
        catalog.put_document(gone, [_chunk("whales that are gone")], generation=1)
        catalog.remove_documents(["gone.md"], generation=2)
        yield catalog


def _chunk(text: str) -> ChunkRow:
    return ChunkRow(text, (), 0, len(text), None, 1, text.encode())


def found(catalog: Catalog, **texts: str) -> list[str]:
    """Return the documents of the chunks that a filter leaves, the same for both kinds of search."""
    where = SearchFilter.parse(**texts)  # type: ignore[arg-type]
    chunks = catalog.chunks([*map(int, catalog.chunk_ids(where, generation=2))])
    matching = catalog.match(LexicalQuery(("whales",)), k=9, where=where, generation=2)
    assert {key for key, _ in matching} == {*chunks}
    return sorted(chunk.path for chunk in chunks.values())


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({"since": "2024-05-17T10:30Z"}, ["notes.txt", "papers/ng.md"]),
        ({"since": "2024-05-17T10:30:01Z"}, ["notes.txt"]),
        ({"before": "2024-05-17T10:30Z"}, ["papers/ada.pdf"]),
        ({"since": "2023-06", "before": "2024-05-18T00:00Z"}, ["papers/ada.pdf", "papers/ng.md"]),
        ({"since": "1000", "before": "9998"}, ["notes.txt", "papers/ada.pdf", "papers/ng.md"]),
        ({"since": "9998"}, []),
        ({"where": "author contains ng"}, ["papers/ng.md"]),
        ({"where": "AUTHOR exists"}, ["papers/ada.pdf", "papers/ng.md"]),
        ({"where": "tags has HISTORY and year >= 2024"}, ["papers/ng.md"]),
        ({"where": "date < 1900"}, ["papers/ada.pdf"]),
        ({"where": "not author exists"}, ["given", "notes.txt"]),
        ({"where": "year >= 2020", "paths": ["papers"], "since": "2024"}, ["papers/ng.md"]),
        ({"where": "title contains 'object'"}, ["given"]),
        ({"where": "file.format in (pdf, txt)"}, ["notes.txt", "papers/ada.pdf"]),
        ({"where": "file.size > 999 and file.path contains papers/"}, ["papers/ada.pdf", "papers/ng.md"]),
        ({"where": "file.date >= 2024-05-17T10:30Z"}, ["notes.txt", "papers/ng.md"]),
        ({"where": "file.date exists and year exists"}, ["papers/ng.md"]),
        ({"where": "year = 1999"}, []),
    ],
)
def test_filters_leave_the_documents_that_meet_them(
    catalog: Catalog, texts: dict[str, str], expected: list[str]
) -> None:
    assert found(catalog, **texts) == expected


def test_the_fields_are_counted_by_the_spelling_that_is_met_first(catalog: Catalog) -> None:
    assert document_field_counts(catalog, generation=2) == {"author": 2, "year": 2, "date": 1, "Tags": 1}
    assert document_field_counts(catalog, generation=1)["year"] == 3


def test_fields_are_stored_and_can_be_replaced(catalog: Catalog) -> None:
    assert {path: row.fields for path, row in catalog.current_documents().items() if path in PAPERS} == PAPERS
    catalog.set_fields("notes.txt", [Field("year", (2024, 1.5, "x"))])
    assert catalog.current_documents()["notes.txt"].fields == (Field("year", (2024, 1.5, "x")),)
    assert found(catalog, where="year = 1.5") == ["notes.txt"]


def test_an_index_of_schema_version_8_is_searched_by_dates_and_gets_fields(catalog: Catalog) -> None:
    path = catalog.path
    catalog.close()
    make_version_8(path)
    with closing(Catalog(path)) as reader:
        assert found(reader, since="2024-05-17T10:30Z") == ["notes.txt", "papers/ng.md"]
        assert found(reader, where="title contains object or file.size = 1000 and file.format = pdf") == [
            *("given", "papers/ada.pdf")
        ]
        assert document_field_counts(reader, generation=2) == {}
        assert not reader.knows_fields
        with pytest.raises(FilterError, match="does not know the author and year of documents") as error:
            found(reader, where="author exists and year > 3 and file.size > 0")
        assert "echo-index build" in error.value.remedy
    with closing(Catalog(path, write=True)) as writer:
        assert int(writer.database.value("PRAGMA user_version")) == SCHEMA_VERSION
        assert found(writer, where="author exists") == []
        assert len(writer.current_documents()) == 4


def _record_queries(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the set to which each query that the catalog asks is added from now on."""
    asked: set[str] = set()

    def recording(method: Callable[..., object]) -> Callable[..., object]:
        def record(database: Database, query: str, parameters: object = ()) -> object:
            asked.add(query)
            return method(database, query, parameters)

        return record

    for name in ("rows", "stream"):
        monkeypatch.setattr(Database, name, recording(getattr(Database, name)))
    return asked


_HOSTILE = st.text(alphabet="abmf ye'\"()=<>;-%_\\\0*.,[]1", max_size=40)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(_HOSTILE, st.sampled_from(["=", "<", "contains", "has", "!="]))
@example("'; DROP TABLE documents; --", "=")
@example('") OR 1=1 --', "contains")
def test_no_text_of_a_condition_gets_into_sql(catalog: Catalog, text: str, sign: str) -> None:
    quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    with pytest.MonkeyPatch.context() as patch:
        asked = _record_queries(patch)
        where = SearchFilter.parse(where=f"zzauthor {sign} {quoted} or zzother = zzvalue")
        catalog.chunk_ids(where, generation=2)
        catalog.match(LexicalQuery(("whales",)), k=9, where=where, generation=2)
    assert len(asked) >= 3
    assert not any("zz" in query for query in asked)
    assert len(catalog.current_documents()) == 4


def test_bad_filters_are_errors() -> None:
    with pytest.raises(ConditionError):
        SearchFilter.parse(where="year >")
    for texts in ({"since": "soon"}, {"before": "17.5.2024"}):
        with pytest.raises(FilterError, match="is no date"):
            SearchFilter.parse(**texts)
    assert SearchFilter.parse(paths=[], formats=None, since="", before=None, where=" ") == SearchFilter()
    assert np.array_equal(SearchFilter.parse(paths=["a"]).paths, ("a",))
