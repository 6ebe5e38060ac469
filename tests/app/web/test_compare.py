"""The Compare tab: its filters restrict all rankings."""

from __future__ import annotations

import re

import gradio as gr
import pytest

from echo_index.app.services.index_service import IndexService, ServiceOptions
from echo_index.app.web.tabs.compare import CompareTab
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.sources.source import Source

UNFILTERED = ([], [], "", "", "")


@pytest.fixture(scope="module")
def tab(encoder: EchoEncoder, tmp_path_factory: pytest.TempPathFactory) -> CompareTab:
    """Return the tab of an index of two notes about foxes and one file of code."""
    folder = tmp_path_factory.mktemp("compared")
    (folder / "notes/old").mkdir(parents=True)
    (folder / "notes/fox.md").write_text("# The fox\n\nThe quick brown fox jumps over the lazy dog.\n")
    (folder / "notes/old/den.md").write_text("# The den\n\nThe fox sleeps in its den.\n")
    (folder / "notes/fox.py").write_text('FOX = "a fox"\n')
    build_index([Source.parse(str(folder / "notes"))], folder / "index", encoder=encoder)
    with gr.Blocks(analytics_enabled=False):
        return CompareTab(IndexService(ServiceOptions(folder / "index", device="cpu", index_device="cpu")))


def sources(html: str) -> list[list[str]]:
    """Return the documents of each ranking, in alphabetical order."""
    rankings = html.split('<section class="ranking')[1:]
    return [sorted(re.findall(r'data-source="([^"]+)"', ranking)) for ranking in rankings]


def test_without_filters_all_passages_are_ranked(tab: CompareTab) -> None:
    everything = ["notes/fox.md", "notes/fox.py", "notes/old/den.md"]
    assert sources(tab._compare("", "fox", *UNFILTERED)) == [everything] * 3


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ((["notes/old"], [], "", "", ""), ["notes/old/den.md"]),
        (([], ["code"], "", "", ""), ["notes/fox.py"]),
        (([], [], "1 day", "", "title = 'The fox'"), ["notes/fox.md"]),
        (([], [], "", "2000", ""), []),
    ],
)
def test_filters_restrict_every_ranking(
    tab: CompareTab, filters: tuple[list[str], list[str], str, str, str], left: list[str]
) -> None:
    assert sources(tab._compare("", "fox", *filters)) == [left] * 3


def test_a_condition_that_cannot_be_read_is_shown_with_its_place(tab: CompareTab) -> None:
    assert "at character 8" in tab._compare("", "fox", [], [], "", "", "title =")
