"""Hostile documents and questions are shown as plain text; `Watch` detects code that runs."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from .conftest import Visit
from .corpus import ATTACK
from .driving import ask, compare, explore, fresh, open_passage, search, turn_to, unfold
from .serving import Site

_SCRIPT = "<script>window.__hacked=1</script>"
_FOLDER = f"documents/hostile/{ATTACK}"
# The visible text by file.
_SAID = {
    "script.md": f"The zeppelin password is {_SCRIPT} and <svg onload=window.__hacked=1> says the captain.",
    "links.md": "[this](javascript:window.__hacked=1) and [that](<script>window.__hacked=1</script>) "
    "and ![picture](http://evil.example/pixel.png) and <http://evil.example/> and "
    "<iframe src=http://evil.example/frame></iframe> and <a href=javascript:alert(1)>here</a>.",
    "templates.txt": "{{value}} and ${alert(1)} and {{#each value}}{{{this}}}{{/each}} and <%= value %> and "
    "${window.__hacked=1} and {% raw %} for every passenger.",
    "cover.txt": "<style>*{position:fixed;inset:0;background:red}</style> and </p></li></ol></div>"
    "<div style=position:fixed;inset:0;z-index:9999>nothing else</div> in gold.",
    f"{ATTACK}.md": "The zeppelin cargo is a crate of walnuts and forty umbrellas.",
}


def _reads(place: Locator, text: str) -> None:
    """Wait until a text is visible, unchanged, in a component."""
    expect(place.filter(visible=True).filter(has_text=text).first).to_be_visible()
    assert " ".join(text.split()) in " ".join(" ".join(place.all_inner_texts()).split())


def _holds_no_markup_of_documents(page: Page) -> None:
    """Check that the page contains no markup from documents."""
    made = page.locator(
        "[onerror], [onload], iframe:not([src='about:blank']), a[href^='javascript:'], a[href^='data:'], "
        "a[href*='evil.example'], img[src*='evil.example'], img[src='x'], [style*='9999']"
    )
    expect(made).to_have_count(0)
    assert page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor") != "rgb(255, 0, 0)"


def test_search_and_viewer(page: Page) -> None:
    cards = search(page, "zeppelin")
    expect(cards.nth(9)).to_be_visible()
    for name, said in _SAID.items():
        card = page.locator(f'#results .hit[data-source="{_FOLDER}/{name}"]')
        _reads(card.locator(".passage"), said)
        _reads(card.locator(".place"), f"{_FOLDER}/{name}")
        panel = open_passage(card)
        expect(panel.locator(".place")).to_have_text(f"{_FOLDER}/{name}")
        _reads(panel.locator(".document"), said)
    _holds_no_markup_of_documents(page)


def test_similar_passages_and_copied_citation(visit: Visit, site: Site) -> None:
    page = visit(site, permissions=["clipboard-read", "clipboard-write"])
    card = search(page, "zeppelin password").filter(has_text="says the captain").first
    card.get_by_text("Copy citation").click()
    expect(card.get_by_text("Copied")).to_be_visible()
    assert _SCRIPT in page.evaluate("navigator.clipboard.readText()")
    card.get_by_text("More like this").click()
    _reads(page.locator("#results .head"), f"Passages similar to one of {_FOLDER}/script.md")
    _holds_no_markup_of_documents(page)


def test_direction_marks_have_no_effect(page: Page) -> None:
    card = search(page, "Who bought the zeppelin ticket?").filter(has_text="inspector").first
    said = card.locator(".passage").inner_text()
    assert "elpmaxe.live and hidden people" in said  # in the order of the characters in the file


def test_right_to_left_text_is_shown_right_to_left(page: Page) -> None:
    card = search(page, "متى تفتح المكتبة؟").filter(has_text="سليم").first
    passage = card.locator(".passage")
    assert passage.evaluate("passage => getComputedStyle(passage).direction") == "rtl"
    assert card.locator(".place").evaluate("place => getComputedStyle(place).direction") == "ltr"
    panel = open_passage(card)
    assert panel.locator(".document").evaluate("text => getComputedStyle(text).direction") == "rtl"


def test_filters_show_folder_names_unchanged(page: Page) -> None:
    unfold(page, "Filters")
    box = page.get_by_label("Only in these folders")
    box.click()
    page.get_by_role("option", name=f"{_FOLDER} (6)").click()
    _reads(page.locator(".token"), f"{_FOLDER} (6)")
    cards = fresh(page, "#results")
    page.locator("#question textarea").fill("zeppelin")
    expect(cards).to_have_count(6)  # the folder is found although its name contains brackets
    _holds_no_markup_of_documents(page)


def test_ask(page: Page) -> None:
    turn_to(page, "Ask")
    question = f"What is the zeppelin password {_SCRIPT} {ATTACK} ![a](http://evil.example/b.png) **c** $d$ {{{{e}}}}?"
    ask(page, question)
    _reads(page.locator("#conversation .user"), question)
    _reads(page.locator("#passages .place"), _FOLDER)
    expect(page.locator("#conversation .user strong, #conversation .katex, #conversation .user img")).to_have_count(0)
    _holds_no_markup_of_documents(page)


def test_compare(page: Page) -> None:
    view = compare(page, f"zeppelin password {_SCRIPT}")
    _reads(view.locator(".place"), f"{_FOLDER}/script.md, line 1")
    _reads(view.locator(".rank-row button"), ATTACK)
    _holds_no_markup_of_documents(page)


def test_explore(page: Page) -> None:
    drawn = explore(page, f"zeppelin {_SCRIPT}")
    _reads(drawn.locator(".legend"), _FOLDER)
    drawn.locator(".question circle").hover()
    expect(drawn.locator(".tip")).to_have_text(f"zeppelin {_SCRIPT}")
    drawn.locator(f'circle[data-source="{_FOLDER}/script.md"]').first.hover(force=True)
    expect(drawn.locator(".tip")).to_contain_text(ATTACK)
    _reads(page.locator("#neighbours .place"), _FOLDER)
    unfold(page, "Documents")
    page.locator("#documents").get_by_placeholder("Filter...").fill("cover")
    _reads(page.locator("#documents").get_by_role("gridcell"), f"{_FOLDER}/cover.txt")
    _holds_no_markup_of_documents(page)


def test_library(page: Page) -> None:
    turn_to(page, "Library")
    page.locator("#held summary").click()
    _reads(page.locator("#held"), "documents/papers/broken.pdf: It is not a readable PDF")
    unfold(page, "Remove documents")
    page.locator("#remove-filter textarea").press_sequentially("hostile/")
    expect(page.locator("#removable input")).to_have_count(6)
    _reads(page.locator("#removable"), f"{_FOLDER}/{ATTACK}.md")
    _holds_no_markup_of_documents(page)
