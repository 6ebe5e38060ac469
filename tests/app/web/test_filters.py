"""Filters by folder and format: a folder matches exactly its own documents, whatever its name contains."""

from __future__ import annotations

from pathlib import Path

import pytest
from indexer_helpers import build

from echo_index.app.services.index_service import IndexService, ServiceOptions
from echo_index.app.web.filters import FilterInputs, make_filter
from echo_index.errors import FilterError
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.generations.snapshot import open_snapshot

FOLDERS = (
    "plain",
    "plain/below",
    "plainer",
    "a*b",
    "axb",
    "a?b",
    "a[bc]",
    "ab",
    "[x]",
    "x",
    "]y[",
    "[^z]",
    "[!z]",
    "z",
    "**",
    "per%cent",
    "under_score",
    "underxscore",
    "back\\slash",
    'quo"te',
    "apo'strophe",
    "ümläut 灯",
    "UPPER",
    "upper",
)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an index with a page in each folder, and with code."""
    folder = tmp_path_factory.mktemp("choices")
    for name in FOLDERS:
        (folder / "docs" / name).mkdir(parents=True, exist_ok=True)
        (folder / "docs" / name / "page.md").write_text(f"# A page\n\nThe page of the folder {name}.\n")
    (folder / "docs/top.md").write_text("# Top\n\nThe page at the top.\n")
    (folder / "docs/plain/add.py").write_text("def add(first, second):\n    return first + second\n")
    (folder / "docs/broken").mkdir()
    (folder / "docs/broken/broken.pdf").write_text("this is no PDF")
    build(folder / "docs", folder / "index")
    return folder / "index"


def found(index: Path, where: SearchFilter) -> list[str]:
    snapshot = open_snapshot(index, index_device="cpu")
    ids = snapshot.catalog.chunk_ids(where, generation=snapshot.manifest.generation)
    return sorted({chunk.path for chunk in snapshot.catalog.chunks([*map(int, ids)]).values()})


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_filter_matches_exactly_its_documents(index: Path, folder: str) -> None:
    files = [f"{name}/page.md" for name in FOLDERS] + ["plain/add.py", "top.md"]
    below = sorted(f"docs/{file}" for file in files if file.startswith(f"{folder}/"))
    assert below
    assert found(index, make_filter([f"docs/{folder}"], [])) == below


def test_folders_are_alternatives_and_formats_narrow_them(index: Path) -> None:
    assert found(index, make_filter(["docs/a*b", "docs/[x]"], [])) == ["docs/[x]/page.md", "docs/a*b/page.md"]
    assert found(index, make_filter(["docs/plain"], ["code"])) == ["docs/plain/add.py"]
    assert found(index, make_filter([], ["code"])) == ["docs/plain/add.py"]
    assert make_filter([], []) == SearchFilter()


def test_dates_and_conditions_narrow_them_too(index: Path) -> None:
    pages = len(found(index, make_filter([], [], since="1 day")))
    assert pages == len(found(index, SearchFilter()))
    assert found(index, make_filter(["docs/plain"], [], before="2000")) == []
    assert found(index, make_filter(["docs/plain"], [], where="file.format = code")) == ["docs/plain/add.py"]
    for texts in ({"since": "soon"}, {"before": "1.1.2024"}, {"where": "author ="}):
        with pytest.raises(FilterError):
            make_filter([], [], **texts)


def test_the_choices_are_the_folders_and_formats_of_the_index(index: Path) -> None:
    gr = pytest.importorskip("gradio")
    with gr.Blocks(analytics_enabled=False):
        choices = FilterInputs(IndexService(ServiceOptions(index, index_device="cpu")))
    folders, formats = choices.refresh([], [], [])
    labels = {value: label for label, value in folders.choices}
    assert {*labels} == {"docs", *(f"docs/{name}" for name in FOLDERS)}, "no folder without readable documents"
    assert [value for _, value in folders.choices] == sorted(labels)
    assert labels["docs/plain"] == "docs/plain (3)"
    assert labels["docs"] == f"docs ({len(FOLDERS) + 2})"
    assert formats.choices == [(f"markdown ({len(FOLDERS) + 1})", "markdown"), ("code (1)", "code")]
    for value in labels:
        assert found(index, make_filter([value], [])), value


def test_only_folders_and_formats_of_the_index_can_be_chosen(index: Path) -> None:
    gr = pytest.importorskip("gradio")
    with gr.Blocks(analytics_enabled=False):
        inputs = FilterInputs(IndexService(ServiceOptions(index, index_device="cpu")))
    collections, folders, formats = inputs.choose((), ("docs/a*b", "docs"), ("code",))
    assert collections.value == []
    assert (folders.value, formats.value) == (["docs/a*b", "docs"], ["code"])
    assert folders.choices == inputs.refresh(None, None, None)[0].choices
    for folder, format, message in (
        ("nowhere", "code", "The index has no folder 'nowhere'."),
        ("docs", "pdf", "The index has no format 'pdf'."),
    ):
        with pytest.raises(FilterError) as raised:
            inputs.choose([], [folder], [format])
        assert raised.value.message == message and raised.value.remedy


def test_without_an_index_there_are_no_choices(tmp_path: Path) -> None:
    gr = pytest.importorskip("gradio")
    with gr.Blocks(analytics_enabled=False):
        choices = FilterInputs(IndexService(ServiceOptions(tmp_path / "nowhere")))
    assert [dropdown.choices for dropdown in choices.refresh(None, None, None)] == [[], []]
