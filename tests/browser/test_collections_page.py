"""The page of two indexes: choose, search, open, ask, and keep the library of the second."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from .conftest import Visit
from .corpus import write
from .driving import LONG, ask, compare, explore, open_passage, search, turn_to, unfold
from .looking import STILL, problems
from .serving import Site, command, serving

_WORK = {
    "start.md": "# Begin here\n\nThe report is due on the fifth of May.\n",
    "travel/rules.md": "# Travel\n\nTrips of more than two days are approved by Ines Holm.\n",
}
_RECIPES = {
    "start.md": "# Begin here\n\nThe dough of rye bread rests for eighteen hours.\n",
    "soups/onion.txt": "Onion soup needs two hours and a spoon of sugar.\n",
}
_ABOUT = "What we cook"


def two_indexes(folder: Path, model: Path) -> Path:
    """Build the indexes `idx` and `recipes`, both with a document notes/start.md, and name the second one."""
    for index, texts in (("idx", _WORK), ("recipes", _RECIPES)):
        write(folder / index / "notes", texts)
        command("build", f"{index}/notes", "--index", f"{index}/echo", "--model", str(model), folder=folder)
    command("collections", "add", "recipes", "recipes/echo", "--about", _ABOUT, folder=folder)
    command("collections", "add", "idx", "idx/echo", folder=folder)
    return folder


@contextmanager
def two_served(folder: Path, model: Path) -> Iterator[Site]:
    """Serve two indexes, whose names no other test knows: `--index idx` would mean this one there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECHO_INDEX_DATA", str(folder / "data"))
        with serving(two_indexes(folder, model), "--index", "recipes") as running:
            yield running


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Iterator[Site]:
    """Return a server of two indexes, which no test changes."""
    with two_served(tmp_path_factory.mktemp("shelf"), tiny_folder) as running:
        yield running


@pytest.fixture
def own_shelf(tmp_path: Path, tiny_folder: Path) -> Iterator[Site]:
    """Return a server of two indexes."""
    with two_served(tmp_path, tiny_folder) as running:
        yield running


def choose_collection(page: Page, tab: str, name: str) -> None:
    """Choose the collection of a tab."""
    page.locator(f"#{tab}-collection input").click()
    page.get_by_role("option", name=re.compile(f"^{name}")).click()


def collections_of(cards: Locator) -> set[str]:
    """Return the collections that cards or other elements are of."""
    return {*cards.evaluate_all("cards => cards.map(card => card.dataset.collection)")}


def test_a_search_finds_passages_of_both_and_of_the_chosen_one(visit: Visit, shelf: Site) -> None:
    page = visit(shelf)
    expect(search(page, "Begin here").first).to_be_visible()
    cards = page.locator("#results .hit")
    expect(cards).to_have_count(4)
    assert collections_of(cards) == {"idx", "recipes"}
    places = page.locator("#results .place")
    expect(places.filter(has_text="recipes: notes/start.md, line")).to_have_count(1)
    unfold(page, "Filters")
    page.get_by_label("Only in these folders").click()
    page.get_by_role("option", name="notes (4)").click()
    expect(page.locator(".token", has_text="notes")).to_be_visible()
    page.get_by_label("Only in these collections").click()
    page.get_by_role("option", name=f"recipes – {_ABOUT}").click()
    expect(cards).to_have_count(2)
    assert collections_of(cards) == {"recipes"}
    expect(page.locator(".token", has_text="notes")).to_be_visible()  # the folder is in the collection, too
    page.keyboard.press("Escape")
    page.get_by_label("Only in these folders").click()
    expect(page.get_by_role("option", name="notes/soups (1)")).to_be_visible()
    expect(page.get_by_role("option", name="notes/travel (1)")).to_have_count(0)
    page.keyboard.press("Escape")
    page.locator(".token", has_text="recipes").get_by_role("button").click()
    expect(cards).to_have_count(4)


@pytest.mark.parametrize(("collection", "text"), [("idx", "fifth of May"), ("recipes", "eighteen hours")])
def test_the_document_of_the_collection_opens(visit: Visit, shelf: Site, collection: str, text: str) -> None:
    page = visit(shelf)
    search(page, "Begin here")
    card = page.locator(f"#results .hit[data-collection={collection}][data-source='notes/start.md']")
    panel = open_passage(card)
    expect(panel.locator(".place")).to_have_text(f"{collection}: notes/start.md")
    expect(panel.locator(".document")).to_contain_text(text)
    card.get_by_text("More like this").click()
    expect(page.locator("#results .head")).to_contain_text(f"Passages similar to one of {collection}: notes/start.md")
    expect(page.locator("#results .hit")).to_have_count(1)
    assert collections_of(page.locator("#results .hit")) == {collection}


def test_an_answer_cites_the_chosen_collection(visit: Visit, shelf: Site) -> None:
    page = visit(shelf)
    turn_to(page, "Ask")
    ask(page, "How long does the dough rest?")
    assert collections_of(page.locator("#passages .hit")) == {"idx", "recipes"}
    unfold(page, "Options")
    page.get_by_label("Only in these collections").filter(visible=True).click()
    page.get_by_role("option", name="recipes").click()
    page.keyboard.press("Escape")
    ask(page, "How long does the dough rest at night?")
    assert collections_of(page.locator("#passages .hit")) == {"recipes"}
    expect(open_passage(page.locator("#passages .hit").first).locator(".place")).to_contain_text("recipes: notes/")


def test_rankings_and_the_map_are_of_the_chosen_collection(visit: Visit, shelf: Site) -> None:
    page = visit(shelf)
    rows = compare(page, "Begin here").locator("button.act")
    assert collections_of(rows) == {"idx"}
    choose_collection(page, "compare", "recipes")
    expect(page.locator("#comparison")).to_contain_text("onion.txt", timeout=LONG)
    assert collections_of(rows) == {"recipes"}

    explore(page)
    expect(page.locator("#map .legend")).to_contain_text("rules.md")
    choose_collection(page, "explore", "recipes")
    expect(page.locator("#map .legend")).to_contain_text("onion.txt")
    assert collections_of(page.locator("#map circle[data-action]")) == {"recipes"}
    unfold(page, "Documents")
    page.locator("#documents").get_by_text("notes/start.md").first.click()
    expect(page.locator("#document .document")).to_contain_text("eighteen hours")


def test_the_library_of_the_second_collection(visit: Visit, own_shelf: Site) -> None:
    page, folder = visit(own_shelf), own_shelf.folder
    turn_to(page, "Library")
    expect(page.locator("#sources textarea")).to_have_value(str(folder / "idx/notes"))
    choose_collection(page, "library", "recipes")
    expect(page.locator("#sources textarea")).to_have_value(str(folder / "recipes/notes"))
    cake = {"name": "cake.md", "mimeType": "text/markdown", "buffer": b"# Cake\n\nThe cake needs four eggs.\n"}
    page.locator("#upload input[type=file]").set_input_files([cake])  # type: ignore[list-item]
    expect(page.locator("#upload")).to_contain_text("cake")
    page.get_by_role("button", name="Build the index").click()
    expect(page.locator("#progress .notice")).to_contain_text("the index contains 3 documents", timeout=LONG)
    expect(page.locator("#held")).to_contain_text("3 documents")
    assert [path.name for path in (folder / "recipes/echo-index-uploads").iterdir()] == ["cake.md"]
    choose_collection(page, "library", "idx")
    expect(page.locator("#held")).to_contain_text("2 documents")
    expect(page.locator("#progress .notice")).to_have_count(0)

    page.reload()
    turn_to(page, "Library")
    choose_collection(page, "library", "recipes")
    expect(page.locator("#held")).to_contain_text("3 documents")
    unfold(page, "Remove documents")
    page.locator("#removable").get_by_text("start.md").click()
    page.get_by_role("button", name="Remove the selected documents").click()
    expect(page.locator("#removed")).to_contain_text("1 document removed; 2 documents left.")
    turn_to(page, "Search")
    search(page, "Begin here")
    expect(page.locator("#results .hit[data-source='notes/start.md']")).to_have_count(1)
    expect(page.locator("#results .hit[data-source$='cake.md']")).to_have_attribute("data-collection", "recipes")


def test_a_collection_that_disappears_is_named_and_the_other_goes_on(visit: Visit, own_shelf: Site) -> None:
    page = visit(own_shelf)
    expect(search(page, "Begin here").first).to_be_visible()
    shutil.rmtree(own_shelf.folder / "idx/echo")
    page.locator("#question textarea").fill("Begin here again")
    expect(page.locator("#results .notice.error")).to_contain_text("The collection idx cannot be used")
    unfold(page, "Filters")
    page.get_by_label("Only in these collections").click()
    page.get_by_role("option", name="recipes").click()
    expect(page.locator("#results .hit")).to_have_count(2)
    page.reload()
    expect(page.locator("#results .hit")).to_have_count(2)  # the choice is in the address
    page.goto(own_shelf.url)
    expect(page.locator("#results .notice.error")).to_contain_text("or choose other collections.")


def test_files_that_have_changed_in_both_are_summed_up(visit: Visit, own_shelf: Site) -> None:
    for index in ("idx", "recipes"):
        write(own_shelf.folder / index / "notes", {"zebra.md": f"# The zebra\n\nThe zebra of {index} has stripes.\n"})
    page = visit(own_shelf)
    line = page.locator("#changes")
    said = "2 files changed since the last build (2 new): 1 in idx, 1 in recipes."
    expect(line).to_contain_text(said, timeout=60_000)
    page.get_by_role("button", name="Update the indexes").click()
    expect(line).to_be_hidden(timeout=LONG)
    search(page, "The zebra has stripes")
    for index in ("idx", "recipes"):
        expect(page.locator(f"#results .hit[data-source='notes/zebra.md'][data-collection={index}]")).to_be_visible()


@pytest.mark.parametrize("tab", ["Search", "Ask", "Compare", "Explore", "Library"])
def test_the_choices_look_right(visit: Visit, shelf: Site, tab: str) -> None:
    page = visit(shelf)
    page.add_style_tag(content=STILL)
    turn_to(page, tab)
    if tab in ("Search", "Ask"):
        unfold(page, "Filters" if tab == "Search" else "Options")
        page.get_by_label("Only in these collections").filter(visible=True).click()
        page.get_by_role("option", name="recipes").click()
        page.keyboard.press("Escape")
    else:
        choose_collection(page, tab.lower(), "recipes")
    found = problems(page)
    assert not found, "\n".join(found)


def test_a_single_index_leaves_no_choice(visit: Visit, tmp_path: Path, tiny_folder: Path) -> None:
    two_indexes(tmp_path, tiny_folder)
    with serving(tmp_path) as site:
        page = visit(site)
        expect(search(page, "Begin here").first).to_be_visible()
        expect(page.locator("#results .hit")).to_have_count(2)
        expect(page.locator("#results .place").first).to_contain_text(re.compile("^notes/"))
        assert page.locator("#results [data-collection]").count() == 0
        unfold(page, "Filters")
        expect(page.get_by_label("Only in these folders")).to_be_visible()
        for label in ("Only in these collections", "Collection"):
            expect(page.get_by_label(label, exact=True)).to_have_count(0)
        turn_to(page, "Library")
        expect(page.locator("#held")).to_contain_text("2 documents")
        expect(page.locator("#library-collection")).to_have_count(0)
