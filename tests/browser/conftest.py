"""A browser, servers on the default model, and pages in it that fail a test when they do what they must not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from .corpus import write_corpus
from .serving import Site, Watch, command, launch, serving

expect.set_options(timeout=15_000)


class Visit(Protocol):
    """Opens a page of a site in a context of its own; the rest are options of the context."""

    def __call__(self, site: Site, path: str = "/", **options: Any) -> Page: ...


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Return a browser that ends with these tests: while it runs, nothing asynchronous can."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a server of the corpus; no test changes it."""
    folder = tmp_path_factory.mktemp("site")
    write_corpus(folder / "documents")
    command("build", "documents", "--index", "idx", folder=folder)
    with serving(folder) as running:
        yield running


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Return what opens pages; all of them are watched until the test ends."""
    opened = []

    def open_page(site: Site, path: str = "/", **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        context.set_default_timeout(20_000)
        watch = Watch(site.url)
        watch.over(context)
        opened.append((context, watch))
        page = context.new_page()
        page.goto(f"{site.url}{path}")
        # The page is there before it answers: its buttons are bound when the first events were sent.
        expect(page.locator("#question textarea")).to_be_focused() if path == "/" else None
        return page

    yield open_page
    for context, _ in opened:
        context.close()
    for _, watch in opened:
        watch.check()


@pytest.fixture
def page(visit: Visit, site: Site) -> Page:
    """Return a fresh page of the corpus."""
    return visit(site)
