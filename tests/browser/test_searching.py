"""The Search tab."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from .conftest import Visit
from .driving import LONG, fresh, is_within, open_passage, search, unfold
from .serving import Site


def test_results_appear_when_typing_pauses(page: Page) -> None:
    page.keyboard.type("Who built the lighthouse?", delay=20)  # the box has the focus
    expect(page.locator("#results .hit").first).to_contain_text("Edda Holm")
    expect(page.locator("#results .hit")).to_have_count(10)


def test_results_use_one_stream_that_stays_open(page: Page) -> None:
    search(page, "lighthouse")
    expect(page.locator("#results .hit").first).to_be_visible()
    opened = []
    page.on("request", lambda request: opened.append(request.url) if "queue/data" in request.url else None)
    for question in ("goat and cider", "the Orlo glacier"):
        expect(search(page, question).first).to_be_visible()
        page.wait_for_timeout(500)
    assert opened == []


def test_a_search_is_in_the_address_and_comes_back(page: Page) -> None:
    expect(search(page, "Who built the lighthouse?").first).to_contain_text("Edda Holm")
    expect(page).to_have_url(re.compile(r"/\?q=Who\+built\+the\+lighthouse%3F$"))
    page.get_by_role("radio", name="Words", exact=True).check()
    expect(page).to_have_url(re.compile(r"&mode=lexical$"))
    expect(search(page, "goat and cider").first).to_contain_text("goat")
    expect(page).to_have_url(re.compile(r"/\?q=goat\+and\+cider&mode=lexical$"))
    page.go_back()
    expect(page.locator("#question textarea")).to_have_value("Who built the lighthouse?")
    expect(page.locator("#results .hit").first).to_contain_text("Edda Holm")
    page.reload()
    expect(page.locator("#question textarea")).to_have_value("Who built the lighthouse?")
    expect(page.locator("#results .hit").first).to_contain_text("Edda Holm")
    expect(page.get_by_role("radio", name="Words", exact=True)).to_be_checked()
    expect(page.locator("#results .badge.meaning")).to_have_count(0)


def test_filters_in_the_address(visit: Visit, site: Site) -> None:
    page = visit(site, "/?q=harbour&format=pdf&format=code&folder=documents%2Fcode&k=3&min_score=0.01&since=2000")
    expect(page.locator("#results .place")).to_have_text([re.compile(r"tides\.py")] * 2)
    expect(page.locator(".token")).to_have_count(3)
    expect(page.get_by_label("Changed since").first).to_have_value("2000")
    cards = search(page, "high tide")
    expect(cards.first).to_contain_text("hours_until_high_tide")
    assert "folder=documents%2Fcode&format=pdf&format=code" in page.url


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("mode=wrong", "Use hybrid, dense or lexical."),
        ("k=1000", "Use a number from 1 to 50."),
        ("folder=nowhere", "The index has no folder 'nowhere'."),
        ("since=soon", "soon is no date."),
        ("mode=%3Cscript%3Ewindow.__hacked=1%3C/script%3E", "<script>window.__hacked=1</script>"),
    ],
)
def test_a_wrong_value_in_the_address_is_named(visit: Visit, site: Site, value: str, said: str) -> None:
    page = visit(site, f"/?q=harbour&{value}")
    expect(page.locator("#results .notice")).to_contain_text(said)
    expect(page.locator("#question textarea")).to_have_value("harbour")
    if "since" in value:  # a date that is none stands in its box, to be mended
        expect(page.get_by_label("Changed since").first).to_have_value("soon")
        page.get_by_label("Changed since").first.fill("")
    expect(search(page, "Who built the lighthouse?").first).to_contain_text("Edda Holm")


def test_a_question_for_the_ask_tab_in_the_address(visit: Visit, site: Site) -> None:
    page = visit(site, "/?q=Who+built+it%3F&tab=ask")
    expect(page.get_by_role("tab", selected=True)).to_have_text("Ask")
    expect(page.locator("#ask-question textarea")).to_have_value("Who built it?")
    page.wait_for_timeout(500)
    expect(page.locator("#conversation .user")).to_have_count(0)


def test_a_copied_link_opens_the_document_at_its_passage(visit: Visit, site: Site) -> None:
    page = visit(site, permissions=["clipboard-read", "clipboard-write"])
    panel = open_passage(search(page, "Jorun Vale rowed eleven miles").filter(has_text="eleven miles").first)
    panel.get_by_role("button", name="Copy the address of this passage").click()
    expect(panel.get_by_text("Copied")).to_be_visible()
    link = str(page.evaluate("navigator.clipboard.readText()"))
    assert link.startswith(f"{site.url}/?document=documents%2Fnotes%2Fnorvik.md&start=")
    other = visit(site, link.removeprefix(site.url))
    expect(other.locator("#document h2")).to_have_text("The lighthouse of Norvik")
    expect(other.locator("#document mark", has_text="Jorun Vale")).to_be_visible()
    missing = visit(site, "/?document=nowhere.md&start=x")
    expect(missing.locator("#document .notice")).to_contain_text("The address has start='x'.")


def test_a_question_in_the_address_is_searched(visit: Visit, site: Site) -> None:
    page = visit(site, "/?q=Who+built+the+lighthouse%3F")
    expect(page.locator("#question textarea")).to_have_value("Who built the lighthouse?")
    expect(page.locator("#results .hit").first).to_contain_text("Edda Holm")


def test_a_card_shows_reasons_and_marks_the_sentence(page: Page) -> None:
    card = search(page, "Which lens did the keeper Jorun Vale row for?").filter(has_text="eleven miles").first
    expect(card.locator("mark")).to_contain_text("The keeper Jorun Vale rowed eleven miles")
    expect(card.locator(".place")).to_have_text(re.compile(r"documents/notes/norvik\.md, line \d+"))
    expect(card.locator(".badge.words")).to_have_text("1st by words")
    expect(card.locator(".badge.meaning")).to_have_text(re.compile(r"\d+(st|nd|rd|th) by meaning"))
    assert card.locator(".strength").get_attribute("aria-label") == "100 percent of the best score"


def test_search_modes(page: Page) -> None:
    search(page, "goat and cider")
    expect(page.locator("#results .badge.words").first).to_be_visible()
    expect(page.locator("#results .badge.meaning").first).to_be_visible()
    page.get_by_role("radio", name="Meaning", exact=True).check()
    expect(page.locator("#results .badge.words")).to_have_count(0)
    expect(page.locator("#results .badge.meaning")).to_have_count(10)
    page.get_by_role("radio", name="Words", exact=True).check()
    expect(page.locator("#results .badge.meaning")).to_have_count(0)
    expect(page.locator("#results .hit").first).to_contain_text("goat")


def test_no_results_show_a_notice(page: Page) -> None:
    page.get_by_role("radio", name="Words", exact=True).check()
    page.locator("#question textarea").fill("quxquuxgarply")
    expect(page.locator("#results .notice")).to_contain_text("Nothing was found.")


def test_the_task_changes_the_results(page: Page) -> None:
    search(page, "floats free of the ground")
    expect(page.locator("#results .badge.meaning").first).to_be_visible()
    before = _cosines(page)
    box = page.get_by_label("Task (choose one or write your own)")
    box.click()
    page.get_by_role("option", name="Code").click()
    page.wait_for_function(f"before => {_COSINES} !== before", arg=before)
    between = _cosines(page)
    box.fill("Find the boat.")
    box.press("Enter")
    page.wait_for_function(f"before => {_COSINES} !== before", arg=between)


_COSINES = "[...document.querySelectorAll('#results .badge.meaning')].map(badge => badge.title).join()"


def _cosines(page: Page) -> str:
    return str(page.evaluate(_COSINES))


def test_filters_by_folder_and_by_format(page: Page) -> None:
    search(page, "harbour")
    expect(page.locator("#results .place", has_text="norvik.md").first).to_be_visible()
    unfold(page, "Filters")
    page.get_by_label("Only in these folders").click()
    cards = fresh(page, "#results")
    page.get_by_role("option", name="documents/code (1)").click()
    expect(cards.first).to_contain_text("tides.py")
    expect(page.locator("#results .place", has_text="norvik.md")).to_have_count(0)
    page.locator(".token", has_text="documents/code").get_by_role("button").click()
    expect(page.locator("#results .place", has_text="norvik.md").first).to_be_visible()
    page.get_by_label("Only these formats").click()
    page.get_by_role("option", name="pdf (1)").click()
    expect(page.locator("#results .hit")).to_have_count(1)
    expect(page.locator("#results .place")).to_have_text(re.compile(r"kites\.pdf, page 1"))


def test_filters_by_date_and_by_fields(page: Page) -> None:
    search(page, "harbour")
    expect(page.locator("#results .place", has_text="norvik.md").first).to_be_visible()
    unfold(page, "Filters")
    where = page.get_by_label("Where")
    cards = fresh(page, "#results")
    where.fill("file.format = pdf")
    where.press("Enter")
    expect(cards.first).to_contain_text("kites.pdf")
    expect(page.locator("#results .hit")).to_have_count(1)
    where.fill("file.format = portable document")
    where.press("Enter")
    expect(page.locator("#results .notice")).to_contain_text("at character 24")
    expect(page.locator("#results .notice pre")).to_contain_text("^")
    where.fill("")
    page.get_by_label("Changed before").fill("2000")
    page.get_by_label("Changed before").press("Enter")
    expect(page.locator("#results .notice")).to_contain_text("Nothing was found")
    page.get_by_label("Changed before").fill("")
    page.get_by_label("Changed since").fill("1 day")
    page.get_by_label("Changed since").press("Enter")
    expect(page.locator("#results .hit").first).to_be_visible()


def test_reranking(page: Page) -> None:
    search(page, "Who built the lighthouse?")
    expect(page.locator("#results .hit")).to_have_count(10)
    expect(page.locator("#results .badge.likelihood")).to_have_count(0)
    unfold(page, "Filters")
    page.get_by_label("Rerank (slower)").click()
    page.get_by_role("option", name="Best 10").click()
    expect(page.locator("#results .badge.likelihood")).to_have_count(10, timeout=LONG)
    expect(page.locator("#results .badge.likelihood", has_text="1st by likelihood")).to_have_count(1)


def test_open_scrolls_the_document_to_the_passage(page: Page) -> None:
    card = search(page, "Jorun Vale rowed eleven miles to fetch a new lens").filter(has_text="eleven miles").first
    panel = open_passage(card)
    expect(panel.locator("h2")).to_have_text("The lighthouse of Norvik")
    expect(panel.locator("mark", has_text="Jorun Vale")).to_be_visible()
    expect(panel.locator(".document")).to_contain_text("In January the keepers")
    page.wait_for_function("document.querySelector('#document .document').scrollTop > 100")
    assert is_within(panel.locator("mark.here"), panel.locator(".document"))


def test_a_pdf_opens_with_an_image_of_the_page(page: Page) -> None:
    panel = open_passage(search(page, "goat and cider for the kite festival").filter(has_text="goat").first)
    picture = panel.locator("img.pdf-page")
    width, height = picture.evaluate(
        "async image => { await image.decode(); return [image.naturalWidth, image.naturalHeight]; }"
    )
    assert width >= 1000 and 1.3 < height / width < 1.4  # the page is 600 by 800
    expect(panel.get_by_text("Page 3", exact=True)).to_be_visible()  # where the goat is
    third = str(picture.get_attribute("src"))
    panel.get_by_role("button", name="Previous page").click()
    expect(panel.get_by_text("Page 2", exact=True)).to_be_visible()
    expect(picture).not_to_have_attribute("src", third)
    panel.get_by_role("button", name="Next page").click()
    expect(picture).to_have_attribute("src", third)


def test_a_citation_is_copied(visit: Visit, site: Site) -> None:
    page = visit(site, permissions=["clipboard-read", "clipboard-write"])
    card = search(page, "Who built the lighthouse of Norvik?").filter(has_text="Edda Holm").first
    button = card.get_by_text("Copy citation")
    button.click()
    expect(card.get_by_text("Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == (
        "“The lighthouse of Norvik was built in 1874 by the carpenter Edda Holm.” — "
        "The lighthouse of Norvik (documents/notes/norvik.md, line 3)"
    )
    expect(button).to_be_visible()  # it can be copied again


def test_more_like_this_and_back(page: Page) -> None:
    card = search(page, "Pia Brandt measures the Orlo glacier").filter(has_text="Orlo").first
    here = str(card.get_attribute("data-source"))
    card.get_by_text("More like this").click()
    expect(page.locator("#results .head")).to_contain_text(f"Passages similar to one of {here}")
    expect(page.locator("#results .hit").first).to_contain_text("Orlo")  # the copy of it
    expect(page.locator("#results .hit").first).not_to_have_attribute("data-source", here)
    page.get_by_role("button", name="Back to the results").click()
    expect(page.locator("#results .badge").first).to_be_visible()
    expect(page.locator("#results .head")).to_have_count(0)


def test_a_search_by_keyboard_alone(page: Page) -> None:
    page.locator("h1").click()
    page.keyboard.press("/")
    expect(page.locator("#question textarea")).to_be_focused()
    expect(page.locator("#question textarea")).to_have_value("")
    page.keyboard.type("Who built the lighthouse of Norvik?")
    page.keyboard.press("Enter")
    expect(page.locator("#results .hit").first).to_be_visible()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.action") == "open":
            break
    page.keyboard.press("Enter")
    expect(page.locator("#document mark", has_text="Edda Holm")).to_be_visible()
    expect(page.locator("#document .document")).to_be_in_viewport()
