"""The Ask tab, with a weak model: tests of how answers are shown, not of what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .driving import LONG, ask, begin_to_ask, is_within, open_passage, turn_to

_QUESTION = "Who built the lighthouse of Norvik?"
_RECORD = """() => {
  window.seen = [];
  const place = document.querySelector('#conversation');
  new MutationObserver(() => window.seen.push(place.innerText)).observe(
    place, { subtree: true, childList: true, characterData: true });
}"""


@pytest.fixture
def page(page: Page) -> Page:
    """Return a page with the tab open."""
    turn_to(page, "Ask")
    return page


def test_an_answer_grows_and_its_citations_show_their_passages(page: Page) -> None:
    page.evaluate(_RECORD)
    answer = ask(page, _QUESTION)
    expect(answer).to_contain_text("Edda Holm")
    seen = page.evaluate("window.seen")
    stages = ("Searching your documents", "Reading the passages", "▍")
    assert [any(stage in text for text in seen) for stage in stages] == [True] * 3, "the page does not show its state"
    expect(page.locator("#passages .hit")).to_have_count(3)
    expect(page.locator("#passages .hit.cited")).to_have_count(1)

    page.set_viewport_size({"width": 1440, "height": 500})
    page.evaluate("window.scrollTo(0, 0)")
    answer.locator("a.citation").first.click()
    here = page.locator("#passages .hit.here")
    expect(here).to_contain_text("Edda Holm")
    expect(here).to_be_in_viewport()
    expect(page).to_have_url(re.compile(r"/$"))

    panel = open_passage(here)
    expect(panel.locator("mark", has_text="Edda Holm")).to_be_visible()
    assert is_within(panel.locator("mark.here"), panel.locator(".document"))


def test_follow_up_and_ask_again(page: Page) -> None:
    ask(page, _QUESTION)
    expect(ask(page, "What colours is it painted in?")).to_contain_text("Red and white", ignore_case=True)
    expect(page.locator("#conversation .bot")).to_have_count(2)
    page.locator("#conversation a.citation").first.click()
    expect(page.locator("#passages .hit.here")).to_contain_text("Edda Holm")
    with page.expect_response(re.compile("queue/join")):
        page.get_by_role("button", name="Ask again").click()
    expect(page.locator("#conversation .bot")).to_have_count(2)
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_hidden(timeout=LONG)
    expect(page.locator("#conversation .bot").last).to_contain_text("Red and white", ignore_case=True)


@pytest.mark.parametrize("button", ["button.sm", "#conversation button"])
def test_a_cleared_conversation_stays_cleared(page: Page, button: str) -> None:
    ask(page, _QUESTION)
    page.locator(button, has=page.get_by_text("Clear")).or_(page.locator(f"{button}[title=Clear]")).click()
    expect(page.locator("#conversation .bot")).to_have_count(0)
    expect(page.locator("#passages .hit")).to_have_count(0)
    ask(page, _QUESTION)
    expect(page.locator("#conversation .bot")).to_have_count(1)


def test_questions_outside_the_documents_are_not_answered(page: Page) -> None:
    # The example that the prompt answers with "Not found.": the small model refuses it whatever the processor rounds.
    answer = ask(page, "Who painted the ceiling of the town hall?")
    expect(answer).to_contain_text("Not in your documents.")
    expect(answer.locator("a.citation")).to_have_count(0)
    expect(page.locator("#passages .hit.cited")).to_have_count(0)


def test_a_question_after_a_stopped_one(page: Page) -> None:
    begin_to_ask(page, "What is the zeppelin password?")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator("#conversation .bot")).to_contain_text("Stopped.")
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible()
    expect(ask(page, _QUESTION)).to_contain_text("Edda Holm")


def test_a_conversation_is_saved_with_its_citations(page: Page, tmp_path: Path) -> None:
    ask(page, _QUESTION)
    with page.expect_download() as download:
        page.get_by_role("button", name="Export as Markdown").click()
    assert download.value.suggested_filename == "conversation.md"
    download.value.save_as(tmp_path / "conversation.md")
    saved = (tmp_path / "conversation.md").read_text(encoding="utf-8")
    assert f"## {_QUESTION}" in saved
    assert "Edda Holm [1]" in saved
    assert "[1] documents/notes/norvik.md, line 3" in saved
    assert "> The lighthouse of Norvik was built in 1874 by the carpenter Edda Holm." in saved
