"""The viewer: a document around a passage, its link, and passages that begin elsewhere by now."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from indexer_helpers import build
from seen_html import Seen

from echo_index.app.web.viewer import document_html
from echo_index.errors import DocumentError
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.generations.snapshot import Snapshot, open_snapshot
from echo_index.indexer.inspection.document_queries import read_indexed_document

_NAME = "docs/a & b #1.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("viewer")
    (folder / "docs").mkdir()
    sections = "".join(f"## Part {number}\n\nThe *house* number {number} is blue and old.\n\n" for number in range(40))
    (folder / _NAME).write_text(f"# Houses\n\n{sections}")
    sections = "".join(f"<h2>Part {number}</h2><p>{'The old house is blue. ' * 9}</p>" for number in range(9))
    (folder / "docs/page.html").write_text(f"<h1>Houses</h1>{sections}")
    build(folder / "docs", folder / "index", chunking=Chunking(40, 0))
    return folder


@pytest.fixture
def snapshot(folder: Path) -> Iterator[Snapshot]:
    snapshot = open_snapshot(folder / "index", index_device="cpu")
    with closing(snapshot.catalog):
        yield snapshot


def marked(html: str) -> str:
    return Seen(
        "".join(part.split("</mark>")[0] for part in html.replace(' class="here"', "").split("<mark>")[1:])
    ).text


def test_the_passage_at_a_character_is_marked(snapshot: Snapshot) -> None:
    passages = read_indexed_document(snapshot, _NAME).passages
    assert len(passages) > 5
    at_start = document_html(snapshot, _NAME, passages[3].start, page=None)
    assert at_start.count('<mark class="here">') == 1
    first = passages[3].text.split()[-4]
    assert first in marked(at_start) and passages[4].text.split("\n")[0].strip("# ") not in marked(at_start)
    inside = document_html(snapshot, _NAME, passages[3].start + 5, page=None)
    assert marked(inside) == marked(at_start), "after a change the passage may begin elsewhere"
    assert marked(document_html(snapshot, _NAME, 10**9, page=None)) == ""


def test_all_headings_of_a_page_are_headings_and_nothing_else_is(snapshot: Snapshot) -> None:
    html = document_html(snapshot, "docs/page.html", 0, page=None)
    shown = re.findall(r'<p class="heading[^>]*role="heading"[^>]*>(.*?)</p>', html)
    assert [Seen(heading).text for heading in shown] == ["Houses", *(f"Part {number}" for number in range(9))]


def test_the_link_leads_to_the_passage(snapshot: Snapshot) -> None:
    start = read_indexed_document(snapshot, _NAME).passages[2].start
    [link] = [
        found
        for found in Seen(document_html(snapshot, _NAME, start, page=None)).attributes
        if found.get("data-action") == "link"
    ]
    assert parse_qs(str(link["data-query"])) == {"document": [_NAME], "start": [str(start)]}


def test_an_unknown_document_is_an_error(snapshot: Snapshot) -> None:
    with pytest.raises(DocumentError, match="There is no document nowhere"):
        document_html(snapshot, "nowhere.md", 0, page=None)
