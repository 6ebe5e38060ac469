"""Each tab with content, for the tests of its appearance and for screenshots."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from .driving import ask, compare, explore, open_passage, search, turn_to, unfold

_QUESTION = "Who built the lighthouse of Norvik?"


def _search(page: Page) -> None:
    expect(search(page, _QUESTION).first).to_be_visible()


def _viewer(page: Page) -> None:
    open_passage(search(page, "Jorun Vale rowed eleven miles to fetch a new lens").first)


def _ask(page: Page) -> None:
    turn_to(page, "Ask")
    ask(page, _QUESTION).locator("a.citation").first.click()
    expect(page.locator("#passages .hit.here")).to_be_visible()


def _compare(page: Page) -> None:
    compare(page, _QUESTION)
    page.get_by_role("button", name="Measure").click()
    expect(page.locator("#similarities table")).to_be_visible()


def _explore(page: Page) -> None:
    explore(page, _QUESTION)
    expect(page.locator("#neighbours .hit").first).to_be_visible()


def _lists(page: Page) -> None:
    explore(page)
    unfold(page, "Documents")
    unfold(page, "Possible problems")
    expect(page.locator("#oddities .odd").first).to_be_visible()


def _library(page: Page) -> None:
    turn_to(page, "Library")
    expect(page.locator("#held .facts")).to_be_visible()
    page.locator("#held summary").click()
    unfold(page, "Remove documents")
    expect(page.locator("#removable input").first).to_be_visible()


SCENES: dict[str, Callable[[Page], None]] = {
    "search": _search,
    "viewer": _viewer,
    "ask": _ask,
    "compare": _compare,
    "explore": _explore,
    "lists": _lists,
    "library": _library,
}
