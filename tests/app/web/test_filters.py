"""The filters: a folder that is chosen is that folder, whatever is in its name, and all that is below it."""

from __future__ import annotations

from pathlib import Path

import pytest
from indexer_helpers import build

from echo_index.app.services.index_service import IndexService, ServiceOptions
from echo_index.app.web.filters import FilterInputs, make_filter
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
    """Return an index of a page in each folder, and of code."""
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
def test_a_folder_that_is_chosen_is_exactly_that_one_and_what_is_below_it(index: Path, folder: str) -> None:
    files = [f"{name}/page.md" for name in FOLDERS] + ["plain/add.py", "top.md"]
    below = sorted(f"docs/{file}" for file in files if file.startswith(f"{folder}/"))
    assert below
    assert found(index, make_filter([f"docs/{folder}"], [])) == below


def test_several_folders_are_either_and_formats_narrow_them(index: Path) -> None:
    assert found(index, make_filter(["docs/a*b", "docs/[x]"], [])) == ["docs/[x]/page.md", "docs/a*b/page.md"]
    assert found(index, make_filter(["docs/plain"], ["code"])) == ["docs/plain/add.py"]
    assert found(index, make_filter([], ["code"])) == ["docs/plain/add.py"]
    assert make_filter([], []) == SearchFilter()


def test_the_choices_are_the_folders_and_formats_that_the_index_holds(index: Path) -> None:
    gr = pytest.importorskip("gradio")
    with gr.Blocks(analytics_enabled=False):
        choices = FilterInputs(IndexService(ServiceOptions(index, index_device="cpu")))
    folders, formats = choices.refresh()
    told = {value: label for label, value in folders.choices}
    assert {*told} == {"docs", *(f"docs/{name}" for name in FOLDERS)}, "none of which nothing could be read"
    assert [value for _, value in folders.choices] == sorted(told)
    assert told["docs/plain"] == "docs/plain (3)"
    assert told["docs"] == f"docs ({len(FOLDERS) + 2})"
    assert formats.choices == [(f"markdown ({len(FOLDERS) + 1})", "markdown"), ("code (1)", "code")]
    for value in told:
        assert found(index, make_filter([value], [])), value


def test_without_an_index_there_is_nothing_to_choose(tmp_path: Path) -> None:
    gr = pytest.importorskip("gradio")
    with gr.Blocks(analytics_enabled=False):
        choices = FilterInputs(IndexService(ServiceOptions(tmp_path / "nowhere")))
    assert [dropdown.choices for dropdown in choices.refresh()] == [[], []]
