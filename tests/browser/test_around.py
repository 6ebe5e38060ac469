"""The footer and the login."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from .conftest import Visit
from .driving import search, turn_to
from .serving import Site, serving


@pytest.fixture(scope="module")
def guarded(site: Site) -> Iterator[Site]:
    """Return a second server of the corpus, which is read-only and requires a login."""
    passwords = site.folder / "passwords"
    passwords.write_text("ann:correct horse\n", encoding="utf-8")
    with serving(site.folder, "--read-only", "--auth", str(passwords)) as running:
        yield running


def test_the_footer(page: Page) -> None:
    footer = page.get_by_role("contentinfo")
    footer.get_by_role("button", name="Use via API").click()
    for endpoint in ("/search", "/similar", "/ask", "/list_documents", "/read", "/status"):
        expect(page.get_by_text(endpoint, exact=True).first).to_be_visible()
    page.keyboard.press("Escape")
    page.goto(page.url.split("?")[0])
    footer.get_by_role("button", name="Settings").click()
    expect(page.get_by_text("Display Theme").first).to_be_visible()


def test_login_and_read_only_library(visit: Visit, guarded: Site) -> None:
    page = visit(guarded, "/?")
    expect(page.get_by_label("username")).to_be_visible()
    expect(page.locator("#question")).to_have_count(0)
    for password in ("wrong", "correct horse"):
        page.get_by_label("username").fill("ann")
        page.get_by_label("password").fill(password)
        page.get_by_role("button", name="Login").click()
        if password == "wrong":
            expect(page.get_by_text("Incorrect Credentials")).to_be_visible()
    expect(page.locator("#question")).to_be_visible()
    expect(search(page, "Who built the lighthouse of Norvik?").first).to_contain_text("Edda Holm")
    turn_to(page, "Library")
    expect(page.get_by_text("The library is read-only.")).to_be_visible()
    expect(page.locator("#held")).to_contain_text("14 documents")
    expect(page.get_by_role("button", name="Build the index")).to_be_hidden()
    expect(page.locator("#remove")).to_be_hidden()
