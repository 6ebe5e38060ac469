"""The Library tab, and the page without an index."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from .conftest import Visit
from .corpus import write, write_many
from .driving import LONG, ask, search, turn_to, unfold
from .serving import Site, serving

_MANY = 40


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a server without an index, which no test builds."""
    with serving(tmp_path_factory.mktemp("empty"), "--upload-megabytes", "1") as running:
        yield running


@pytest.fixture
def new_library(tmp_path: Path) -> Iterator[Site]:
    """Return a server without an index."""
    with serving(tmp_path) as running:
        yield running


def test_every_tab_shows_that_nothing_is_indexed(visit: Visit, empty: Site) -> None:
    page = visit(empty)
    expect(page.locator("#results .notice")).to_contain_text("Nothing is indexed yet.")
    turn_to(page, "Ask")
    expect(page.locator("#conversation")).to_contain_text("Ask your documents")
    page.locator("#ask-question textarea").fill("Is there anything?")
    page.locator("#ask-question textarea").press("Enter")
    expect(page.locator("#passages .notice")).to_contain_text("Nothing is indexed yet.")
    expect(page.locator("#ask-question textarea")).to_have_value("Is there anything?")
    turn_to(page, "Compare")
    page.locator("#compare-question textarea").fill("Is there anything?")
    page.locator("#compare-question textarea").press("Enter")
    expect(page.locator("#comparison .notice")).to_contain_text("Nothing is indexed yet.")
    turn_to(page, "Explore")
    expect(page.locator("#map .notice")).to_contain_text("Nothing is indexed yet.")
    page.locator("#map").get_by_role("button", name="Go to the Library").click()
    expect(page.locator("#held .notice")).to_contain_text("Nothing is indexed yet.")
    expect(page.get_by_role("button", name="Build the index")).to_be_visible()
    expect(page.locator(".toast-body")).to_have_count(0)


def test_text_typed_while_the_page_loads_is_kept(visit: Visit, empty: Site) -> None:
    page = visit(empty)
    held: list[Route] = []
    page.route("**/queue/join*", lambda route: held.append(route))
    page.reload()
    turn_to(page, "Library")
    page.locator("#sources textarea").fill("/early")
    for route in held:
        route.continue_()
    page.unroute("**/queue/join*")
    expect(page.locator("#held .notice")).to_contain_text("Nothing is indexed yet.")
    expect(page.locator("#sources textarea")).to_have_value("/early")


def test_build_errors_are_shown(visit: Visit, empty: Site) -> None:
    page = visit(empty)
    turn_to(page, "Library")
    _build(page)
    expect(page.locator("#progress .notice")).to_contain_text("There is nothing to build.")
    page.locator("#sources textarea").fill(str(empty.folder / "nowhere"))
    _build(page)
    expect(page.locator("#progress .notice.error")).to_contain_text("nowhere")
    expect(page.get_by_role("button", name="Build the index")).to_be_visible()


def test_rejected_uploads(visit: Visit, empty: Site) -> None:
    page = visit(empty)
    turn_to(page, "Library")
    too_large = {"name": "large.md", "mimeType": "text/markdown", "buffer": b"word " * 300_000}
    page.locator("#upload input[type=file]").set_input_files([too_large])  # type: ignore[list-item]
    expect(page.locator(".toast-body")).to_contain_text("exceed the maximum allowed size")
    expect(page.locator("#upload")).not_to_contain_text("large.md")
    page.locator(".toast-close").first.click()
    wrong = {"name": "program.exe", "mimeType": "application/octet-stream", "buffer": b"MZ"}
    page.locator("#upload input[type=file]").set_input_files([wrong])  # type: ignore[list-item]
    expect(page.locator(".toast-body")).to_be_visible()
    expect(page.locator("#upload")).not_to_contain_text("program.exe")


def test_upload_build_search_ask_and_remove(visit: Visit, new_library: Site) -> None:
    page = visit(new_library)
    turn_to(page, "Library")
    files = [
        {
            "name": "lantern.md",
            "mimeType": "text/markdown",
            "buffer": b"# Lantern\n\nThe lantern of Ooze was built by Edda Holm.\n",
        },
        {"name": "cheese.txt", "mimeType": "text/plain", "buffer": b"The cheese of Brill is washed with beer.\n"},
    ]
    page.locator("#upload input[type=file]").set_input_files(files)  # type: ignore[arg-type]
    expect(page.locator("#upload")).to_contain_text("cheese")
    _build(page)
    expect(page.get_by_role("progressbar")).to_be_visible()
    _is_done(page, "the index contains 2 documents in 2 passages")
    expect(page.locator("#held")).to_contain_text("2 documents")
    assert sorted(path.name for path in (new_library.folder / "echo-index-uploads").iterdir()) == [
        "cheese.txt",
        "lantern.md",
    ]

    turn_to(page, "Search")
    expect(search(page, "Who built the lantern?").first).to_contain_text("Edda Holm")
    turn_to(page, "Ask")
    expect(ask(page, "Who built the lantern of Ooze?")).to_contain_text("Edda Holm")

    turn_to(page, "Library")
    unfold(page, "Remove documents")
    page.locator("#removable").get_by_text("lantern.md").click()
    page.get_by_role("button", name="Remove the selected documents").click()
    expect(page.locator("#removed")).to_contain_text("1 document removed; 1 document left.")
    expect(page.locator("#held")).to_contain_text("1 document")
    expect(page.locator("#removable input")).to_have_count(1)
    turn_to(page, "Search")
    expect(search(page, "The lantern of Ooze").first).to_contain_text("cheese")
    expect(page.locator("#results .hit")).to_have_count(1)
    assert (new_library.folder / "echo-index-uploads/lantern.md").exists()


def test_a_build_is_shown_to_all_visitors_and_can_be_stopped_and_continued(visit: Visit, new_library: Site) -> None:
    first, many = new_library.folder / "first", write_many(new_library.folder / "many", _MANY)
    write(first, {"ferry.md": "# Ferry\n\nThe ferry to Ulm sails at noon on Thursdays.\n"})
    page = visit(new_library)
    turn_to(page, "Library")
    page.locator("#sources textarea").fill(str(first))
    _build(page)
    _is_done(page, "the index contains 1 document in 1 passage.")

    page.reload()
    turn_to(page, "Library")
    expect(page.locator("#sources textarea")).to_have_value(str(first))
    visitor = visit(new_library)  # before the build, which may be over while a page loads
    page.locator("#sources textarea").fill(f"{first}\n{many}")
    _build(page)
    expect(page.locator("#progress")).to_contain_text("Embedding passages", timeout=LONG)

    page.reload()  # the build continues without its page and is shown again
    turn_to(page, "Library")
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()

    turn_to(visitor, "Library")
    expect(visitor.get_by_role("progressbar")).to_be_visible()
    expect(visitor.locator("#progress")).to_contain_text(f" of {_MANY}", timeout=LONG)
    turn_to(visitor, "Search")
    expect(search(visitor, "When does the ferry sail?").first).to_contain_text("noon")
    turn_to(visitor, "Library")

    page.get_by_role("button", name="Stop", exact=True).click()
    for watched in (page, visitor):
        expect(watched.locator("#progress .notice")).to_contain_text("What was embedded is kept", timeout=LONG)
    expect(page.locator("#held")).to_contain_text("1 document")

    _build(page)
    _is_done(page, f"the index contains {_MANY + 1} documents in {_MANY + 1} passages")
    text = page.locator("#progress .notice").inner_text()
    assert f"{_MANY} passages embedded" not in text, "what was embedded before the stop was embedded again"
    turn_to(visitor, "Search")
    expect(search(visitor, "Station 32").first).to_contain_text("station")


def test_a_build_that_another_visitor_starts_is_shown(visit: Visit, new_library: Site) -> None:
    watching, building = visit(new_library), visit(new_library)
    for page in (watching, building):
        turn_to(page, "Library")
        expect(page.locator("#held .notice")).to_contain_text("Nothing is indexed yet.")
    watching.get_by_role("button", name="Build the index").click()
    expect(watching.locator("#progress .notice")).to_contain_text("There is nothing to build.")
    watching.wait_for_timeout(6_000)  # longer than the page waits until it looks for a build again
    expect(watching.locator("#progress .notice")).to_contain_text("There is nothing to build.")
    ferry = write_many(new_library.folder / "one", 1)
    building.locator("#sources textarea").fill(str(ferry))
    _build(building)
    for page in (watching, building):
        _is_done(page, "the index contains 1 document in 1 passage.")
        expect(page.locator("#held")).to_contain_text("1 document")


def _build(page: Page) -> None:
    page.get_by_role("button", name="Build the index").click()


def _is_done(page: Page, text: str) -> None:
    expect(page.locator("#progress .notice")).to_contain_text(text, timeout=LONG)
    expect(page.get_by_role("button", name="Build the index")).to_be_visible()
