"""The Compare tab."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from .driving import compare, turn_to, unfold


def test_three_rankings_and_the_lines_between_them(page: Page) -> None:
    view = compare(page, "Who built the lighthouse of Norvik?")
    expect(view.locator(".ranking h3")).to_have_text([re.compile("Classical"), re.compile("Echo"), re.compile("Words")])
    for way in ("classical", "echo"):
        expect(view.locator(f".{way} .rank-row")).to_have_count(10)
    expect(view.locator(".lexical .rank-row").first).to_contain_text("Norvik")
    expect(view.locator(".echo .move")).to_have_count(0)
    expect(view.locator(".classical .move")).to_have_count(10)
    expect(view.locator(".move").first).to_have_text(re.compile(r"^(=|[▲▼]\d+|only here)$"))

    # Lines end at the rows that they connect.
    lines = view.locator("svg.moves").first.locator("path")
    both = set(
        view.locator(".classical button").evaluate_all(
            "rows => rows.map(row => row.dataset.source + row.dataset.start)"
        )
    )
    both &= set(
        view.locator(".echo button").evaluate_all("rows => rows.map(row => row.dataset.source + row.dataset.start)")
    )
    expect(lines).to_have_count(len(both))
    row, line = view.locator(".echo .rank-row").first.bounding_box(), view.locator("svg.moves").first.bounding_box()
    assert row and line and abs(row["y"] - line["y"]) < 4 and abs(row["height"] - 64) < 1

    view.locator(".echo button").first.click()
    expect(page.locator("#document .here")).to_be_visible()


def test_filters_restrict_the_three_rankings(page: Page) -> None:
    view = compare(page, "Who built the lighthouse of Norvik?")
    unfold(page, "Filters")
    page.get_by_label("Only these formats").click()
    page.get_by_role("option", name="pdf (1)").click()
    for way in ("classical", "echo", "lexical"):
        expect(view.locator(f".{way} .rank-row .place", has_not_text="kites.pdf")).to_have_count(0)
    expect(view.locator(".echo .rank-row")).to_have_count(1)
    where = page.get_by_label("Where")
    where.fill("file.format =")
    where.press("Enter")
    expect(view.locator(".notice")).to_contain_text("at character 14")


def test_similarities_of_sentences(page: Page) -> None:
    turn_to(page, "Compare")
    page.get_by_role("button", name="Measure").click()
    table = page.locator("#similarities table")
    expect(table.locator("tbody tr")).to_have_count(2)
    expect(table.locator("tbody th")).to_have_text([re.compile("Echo"), re.compile("Classical")])
    expect(table.locator(".value")).to_have_text([re.compile(r"^-?0\.\d{3}$")] * 4)
    before = table.inner_text()
    page.get_by_label("A sentence").fill("The ferry sails at noon.")
    page.get_by_role("button", name="Measure").click()
    expect(table).not_to_have_text(before)
