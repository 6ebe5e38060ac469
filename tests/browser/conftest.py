"""Fixtures: a browser, servers with the default model, and pages that fail a test if they do something forbidden."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from .corpus import write_corpus
from .serving import Site, Watch, command, launch, serving, set_trap

_PATIENCE = 60_000  # milliseconds; two of these tests run at a time, and more on a busy machine
expect.set_options(timeout=45_000)


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
    command("build", "documents", "--index", "idx", "--precision", "fp32", folder=folder)  # `auto` measures for long
    with serving(folder) as running:
        yield running


_OPTIONS = {"viewport": {"width": 1440, "height": 900}}
_STORED = "cookies,local_storage,indexeddb,service_workers,cache_storage"


@pytest.fixture(scope="package")
def common_context(browser: Browser) -> Iterator[BrowserContext]:
    """Return a context that tests use one after the other: what it has cached of the page saves seconds each time."""
    context = browser.new_context(**_OPTIONS)  # type: ignore[arg-type]
    context.set_default_timeout(_PATIENCE)
    set_trap(context)
    yield context
    context.close()


@pytest.fixture
def visit(browser: Browser, common_context: BrowserContext) -> Iterator[Visit]:
    """Return a function that opens pages, which are watched until the test ends.

    The first one is opened in the common context, others and those with options in a context of their own: they are
    other visitors.
    """
    opened: list[tuple[Page, Watch, Site]] = []

    def open_page(site: Site, path: str = "/", **options: Any) -> Page:
        watch = Watch(site.url)
        if opened or options:
            context = browser.new_context(**{**_OPTIONS, **options})
            context.set_default_timeout(_PATIENCE)
            watch.over(context)
        else:
            context = common_context
            watch.begin(context)
        page = context.new_page()
        opened.append((page, watch, site))
        page.goto(f"{site.url}{path}")
        # The page is visible before its buttons work; the focus shows that its first events were sent.
        expect(page.locator("#question textarea")).to_be_focused() if path == "/" else None
        return page

    yield open_page
    for page, watch, site in opened:
        if page.context is common_context:
            if not page.is_closed():
                forget(page, site)
            watch.end(common_context)
        else:
            page.context.close()
    for _, watch, _ in opened:
        watch.check()


def forget(page: Page, site: Site) -> None:
    """Close all pages of the common context, and delete what the site has stored there."""
    context = page.context
    context.new_cdp_session(page).send("Storage.clearDataForOrigin", {"origin": site.url, "storageTypes": _STORED})
    for left in context.pages:
        left.close()
    context.clear_cookies()


@pytest.fixture
def page(visit: Visit, site: Site) -> Page:
    """Return a new page of the corpus."""
    return visit(site)
