"""The line about changed files, its button, and a server that builds by itself."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .conftest import Visit
from .corpus import write
from .driving import search
from .serving import command, serving

_LATE = 90_000  # milliseconds, for a build


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Return a folder with an index of one document."""
    write(tmp_path / "notes", {"fox.md": "# The fox\n\nThe quick brown fox jumps over the lazy dog.\n"})
    command("build", "notes", "--index", "idx", folder=tmp_path)
    return tmp_path


def test_the_line_tells_of_changes_and_its_button_builds(visit: Visit, library: Path) -> None:
    with serving(library) as site:
        page = visit(site)
        expect(page.locator("#changes")).to_be_hidden()
        write(library / "notes", {"zebra.md": "# The zebra\n\nZebras have black and white stripes.\n"})
        line = page.locator("#changes")
        expect(line).to_contain_text("1 file changed since the last build (1 new).", timeout=_LATE)
        page.locator("#update-index").click()
        expect(line).to_be_hidden(timeout=_LATE)
        _finds(page, "Which animal has stripes?", "zebra.md")
        (library / "notes").rename(library / "away")
        expect(line).to_contain_text("is missing; its documents stay in the index.", timeout=_LATE)
        expect(page.locator("#update-index")).to_be_hidden()
        _finds(page, "Which animal has stripes and is black and white?", "zebra.md")


def test_visitors_who_may_not_change_the_library_get_no_button(visit: Visit, library: Path) -> None:
    write(library / "notes", {"zebra.md": "# The zebra\n\nZebras have black and white stripes.\n"})
    with serving(library, "--read-only") as site:
        page = visit(site)
        expect(page.locator("#changes")).to_contain_text("1 file changed since the last build")
        expect(page.locator("#update-index")).to_be_hidden()


def test_a_server_that_watches_builds_by_itself(visit: Visit, library: Path) -> None:
    with serving(library, "--watch", "--read-only") as site:
        page = visit(site)
        _finds(page, "What does the fox do?", "fox.md")
        write(library / "notes", {"zebra.md": "# The zebra\n\nZebras have black and white stripes.\n"})
        before = (library / "idx" / "manifest.json").stat().st_mtime_ns
        deadline = time.monotonic() + 90
        while (library / "idx" / "manifest.json").stat().st_mtime_ns == before:
            assert time.monotonic() < deadline
            page.wait_for_timeout(200)
        _finds(page, "Which animal has stripes?", "zebra.md")
        expect(page.locator("#changes")).to_be_hidden()


def _finds(page: Page, question: str, document: str) -> None:
    search(page, question)
    expect(page.locator("#results .hit").first).to_contain_text(document, timeout=30_000)
