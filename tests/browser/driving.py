"""Actions of a visitor: open a tab, ask, open a passage."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

TABS = ("Search", "Ask", "Compare", "Explore", "Library")
_UNFINISHED = re.compile("▍|Searching your documents|Reading the passages")
LONG = 180_000  # milliseconds, for a model or a build on a busy machine


def turn_to(page: Page, tab: str) -> None:
    """Open a tab, through the menu if the page is narrow."""
    expect(page.get_by_role("tab", selected=True)).to_be_visible()
    button = page.get_by_role("tab", name=tab, exact=True)
    if not button.is_visible():
        page.locator(".overflow-menu > button").click()
        button = page.locator(".overflow-dropdown button", has_text=tab)
    button.click()


def search(page: Page, question: str) -> Locator:
    """Type a question, without pressing a button, and return the cards."""
    cards = fresh(page, "#results")
    page.locator("#question textarea").fill(question)
    return cards


def fresh(page: Page, place: str) -> Locator:
    """Return the cards of a component that appear from now on."""
    page.locator(place).locator(".hit").evaluate_all("cards => cards.forEach(card => card.classList.add('old'))")
    return page.locator(f"{place} .hit:not(.old)")


def open_passage(card: Locator) -> Locator:
    """Press Open on a card, wait for the document and return the viewer."""
    page = card.page
    card.get_by_role("button", name=re.compile("^Open")).click()
    expect(page.locator("#viewer")).to_have_class(re.compile(r"\bopen\b"))
    expect(page.locator("#document .document")).to_be_visible()
    return page.locator("#document")


def ask(page: Page, question: str) -> Locator:
    """Ask in the tab Ask, wait until the answer is complete, and return it."""
    answers = page.locator("#conversation .bot")
    before = answers.count()
    _send(page, question)
    expect(answers).to_have_count(before + 1, timeout=LONG)
    expect(answers.last).not_to_contain_text(_UNFINISHED, timeout=LONG)
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_hidden(timeout=LONG)
    return answers.last


def begin_to_ask(page: Page, question: str) -> None:
    """Ask in the tab Ask, and wait until the answer has started."""
    _send(page, question)
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()


def _send(page: Page, question: str) -> None:
    box = page.locator("#ask-question textarea")
    box.fill(question)
    box.press("Enter")


def compare(page: Page, question: str) -> Locator:
    """Compare the rankings of a question and return the comparison."""
    turn_to(page, "Compare")
    box = page.locator("#compare-question textarea")
    box.fill(question)
    box.press("Enter")
    expect(page.locator("#comparison .rank-row").first).to_be_visible(timeout=LONG)
    return page.locator("#comparison")


def explore(page: Page, question: str = "") -> Locator:
    """Open the map, with a question on it if there is one, and return it."""
    turn_to(page, "Explore")
    expect(page.locator("#map circle").first).to_be_visible()
    if question:
        box = page.locator("#explore-question textarea")
        box.fill(question)
        box.press("Enter")
        expect(page.locator("#map .question")).to_be_visible(timeout=LONG)
    return page.locator("#map")


def unfold(page: Page, name: str) -> None:
    """Open an accordion of the current tab."""
    page.locator("button.label-wrap", has_text=name).filter(visible=True).click()


def is_within(inner: Locator, outer: Locator) -> bool:
    """Return whether an element is partly visible inside another one."""
    return bool(
        inner.evaluate(
            """(inner, outer) => {
              const [here, frame] = [inner.getBoundingClientRect(), outer.getBoundingClientRect()];
              return here.height > 0 && here.bottom > frame.top && here.top < frame.bottom
                && here.top < window.innerHeight && here.bottom > 0;
            }""",
            outer.element_handle(),
        )
    )
