"""Fixtures: a browser, servers with the default model, and pages that fail a test if they do something forbidden."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from .corpus import write_corpus
from .serving import Site, Watch, command, launch, serving

expect.set_options(timeout=15_000)


class Visit(Protocol):
    """Open a page of a site in its own browser context with these options."""

    def __call__(self, site: Site, path: str = "/", **options: Any) -> Page: ...


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Return a browser that is closed after these tests: asyncio code cannot run while it is open."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a server of the corpus, which no test changes."""
    folder = tmp_path_factory.mktemp("site")
    write_corpus(folder / "documents")
    command("build", "documents", "--index", "idx", folder=folder)
    with serving(folder) as running:
        yield running


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Return a function that opens pages, which are watched until the test ends."""
    opened = []

    def open_page(site: Site, path: str = "/", **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        context.set_default_timeout(20_000)
        watch = Watch(site.url)
        watch.over(context)
        opened.append((context, watch))
        page = context.new_page()
        page.goto(f"{site.url}{path}")
        # The page is visible before its buttons work; the focus shows that its first events were sent.
        expect(page.locator("#question textarea")).to_be_focused() if path == "/" else None
        return page

    yield open_page
    for context, _ in opened:
        context.close()
    for _, watch in opened:
        watch.check()


@pytest.fixture
def page(visit: Visit, site: Site) -> Page:
    """Return a new page of the corpus."""
    return visit(site)
