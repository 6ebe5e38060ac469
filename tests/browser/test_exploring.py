"""The Explore tab."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from .driving import explore, unfold

_COVERED = """points => points.filter(point => {
    const { x, y, width, height } = point.getBoundingClientRect();
    return document.elementFromPoint(x + width / 2, y + height / 2) !== point;
}).length"""


def bakery(drawn: Locator) -> Locator:
    """Return the point of a short document on the map."""
    drawn.scroll_into_view_if_needed()
    return drawn.locator('circle[data-source$="bakery.md"]').first


def test_the_map_shows_all_passages_and_opens_them(page: Page) -> None:
    drawn = explore(page)
    expect(drawn.locator("circle")).to_have_count(28)
    expect(drawn.locator(".legend li").first).to_be_visible()
    expect(drawn).to_contain_text(re.compile(r"The two axes explain \d+% of the variance between passages"))
    point = bakery(drawn)
    assert drawn.locator("circle").evaluate_all(_COVERED) == 0, "some points cannot be pressed"
    for _ in range(3):  # a point is visible before it can be pressed
        point.click(force=True)
        page.wait_for_timeout(1500)
        if page.locator("#document h2").is_visible():
            break
    expect(page.locator("#document h2")).to_have_text("Bakery")


def test_the_map_shows_tooltips(page: Page) -> None:
    drawn = explore(page)
    bakery(drawn).hover(force=True)
    expect(drawn.locator(".tip")).to_be_visible()
    expect(drawn.locator(".tip")).to_contain_text("Bakery")
    page.locator("h1").hover()
    expect(drawn.locator(".tip")).to_be_hidden()


def test_a_question_on_the_map_is_connected_with_its_neighbours(page: Page) -> None:
    drawn = explore(page, "Who built the lighthouse of Norvik?")
    expect(drawn.locator(".lines line")).to_have_count(8)
    expect(drawn.locator("circle.near")).to_have_count(8)
    expect(page.locator("#neighbours .hit")).to_have_count(8)
    ends = drawn.locator(".lines line").evaluate_all(
        "all => all.map(line => [line.x2.baseVal.value, line.y2.baseVal.value])"
    )
    points = drawn.locator("circle.near").evaluate_all(
        "all => all.map(point => [point.cx.baseVal.value, point.cy.baseVal.value])"
    )
    assert sorted(ends) == sorted(points)
    drawn.locator(".question circle").hover()
    expect(drawn.locator(".tip")).to_have_text("Who built the lighthouse of Norvik?")
    drawn.locator("circle.near").first.focus()
    expect(drawn.locator(".tip")).not_to_have_text("Who built the lighthouse of Norvik?")
    page.keyboard.press("Enter")
    expect(page.locator("#document .here")).to_be_visible()


def test_all_documents_are_listed_and_open(page: Page) -> None:
    explore(page)
    unfold(page, "Documents")
    table = page.locator("#documents")
    rows = table.get_by_role("row").filter(has=page.get_by_role("gridcell"))
    find = table.get_by_placeholder("Filter...")
    find.fill("broken")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("not a readable PDF")
    find.fill("bakery")
    expect(rows).to_contain_text(["documents/notes/bakery.md"])
    expect(rows).to_contain_text(["indexed"])
    rows.get_by_role("gridcell").first.click()
    expect(page.locator("#document h2")).to_have_text("Bakery")


def test_possible_problems_are_listed(page: Page) -> None:
    explore(page)
    unfold(page, "Possible problems")
    odd = page.locator("#oddities")
    expect(odd).to_contain_text("1 file could not be read")
    expect(odd).to_contain_text("documents/papers/broken.pdf: It is not a readable PDF")
    twins = odd.locator("li", has_text="glacier-again.md")
    expect(twins).to_contain_text("identical")
    twins.get_by_role("button", name="documents/notes/glacier.md").click()
    expect(page.locator("#document h2")).to_have_text("Glacier")
