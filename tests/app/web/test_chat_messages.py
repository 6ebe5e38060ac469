"""Turns as chat messages and as a file: their text is escaped, and only citations are links."""

from __future__ import annotations

from dataclasses import replace

import pytest
from example_hit import HIT
from hypothesis import given
from hypothesis import strategies as st
from seen_html import HOSTILE, rendered, visible

from echo_index.app.services.answer_job import Turn
from echo_index.app.web.chat_messages import conversation, export_markdown
from echo_index.retriever.rag.citations import Answer, Citation

QUESTION = "When does the ferry leave?"
WRITTEN = "The ferry leaves at eight [1] and at noon [2]."
SAYS_NOT_FOUND = "The passages do not hold an answer to this question."


def answered(text: str = WRITTEN, *, question: str = QUESTION, found: bool = True) -> Turn:
    hits = (HIT, replace(HIT, source="island/noon.md", text="Line one.\nLine two.", line=3))
    citations = tuple(Citation(number, hit) for number, hit in enumerate(hits, start=1)) if found else ()
    return Turn(question, hits, text, Answer(question, text, found, citations, hits))


def answer_of(turn: Turn, *, is_running: bool = False) -> str:
    """Return the chat message with the answer of a single turn."""
    [_, message] = conversation([turn], is_running=is_running)
    return message["content"]


def test_questions_and_answers_alternate() -> None:
    messages = conversation([answered(), answered("At noon [1].", question="And on Sundays?")])
    assert [message["role"] for message in messages] == ["user", "assistant"] * 2
    seen = [rendered(message["content"]).text.strip() for message in messages]
    assert seen == [QUESTION, "The ferry leaves at eight 1 and at noon 2.", "And on Sundays?", "At noon 1."]
    assert conversation([]) == []


def test_citation_numbers_link_to_passages_of_their_turn() -> None:
    [_, first, _, second] = conversation([answered(), answered("At noon [2].")])
    links = rendered(first["content"] + "\n\n" + second["content"])
    assert links.tags == ["p", "a", "a", "p", "a"]
    anchors = [found for found in links.attributes if found]
    assert [anchor["href"] for anchor in anchors] == ["#cite-1-1", "#cite-1-2", "#cite-2-2"]
    assert {anchor["class"] for anchor in anchors} == {"citation"}
    assert [anchor["aria-label"] for anchor in anchors] == ["Passage 1", "Passage 2", "Passage 2"]


HOSTILE_MARKDOWN = (
    *HOSTILE,
    "[text](javascript:alert(1))",
    "![x](https://evil.example/x.png)",
    "<https://evil.example> www.evil.example",
    "# Heading\n\n- list\n\n| a |\n|---|\n",
    "    code",
    "\tcode",
    "[1](https://evil.example)",
    "[1]: https://evil.example",
    "<a href='#cite-9-9'>9</a>",
    "`[1]`",
    "$$x$$",
    *(f"It is said [1] that {text}" for text in HOSTILE),
    "It is said [1] in **bold** [at](https://evil.example)",
)


@pytest.mark.parametrize("text", HOSTILE_MARKDOWN)
@pytest.mark.parametrize("kind", ["question", "running", "answer", "stopped", "not found"])
def test_text_of_turns_is_never_markup(text: str, kind: str) -> None:
    if kind == "question":
        content = conversation([answered(question=text)])[0]["content"]
    elif kind == "answer":
        content = answer_of(answered(text))
    elif kind == "not found":
        content = answer_of(answered(text, found=False))
    else:
        content = answer_of(Turn(QUESTION, (HIT,), text), is_running=kind == "running")
    seen = rendered(content)
    ours = {"em", "strong"} if kind in ("stopped", "not found") else set()
    links = [found for found in seen.attributes if "href" in found]
    assert {*seen.tags} <= {"p", "br", "a"} | ours
    assert {link["href"] for link in links} <= {"#cite-1-1"}
    assert all(link.keys() == {"class", "href", "title", "aria-label"} for link in links)
    markers_linked = text if kind in ("question", "not found") else text.replace("[1]", "1")
    assert visible(markers_linked) in visible(seen.text)


@given(st.text("<>&#*_`~[]()!|\\/:;.-+=$\"'@ \n01ahtpsw灯", max_size=40))
def test_answers_contain_only_text_and_citations(text: str) -> None:
    seen = rendered(answer_of(answered(text)))
    assert {*seen.tags} <= {"p", "br", "a"}
    assert all(found["class"] == "citation" for found in seen.attributes if found)


def test_a_running_answer_shows_its_state() -> None:
    assert "Searching" in answer_of(Turn(QUESTION), is_running=True)
    assert "Reading" in answer_of(Turn(QUESTION, (HIT,)), is_running=True)
    growing = answer_of(Turn(QUESTION, (HIT,), "The ferry leaves [1]"), is_running=True)
    assert rendered(growing).text.strip() == "The ferry leaves 1 ▍"
    first, last = conversation([answered(), Turn(QUESTION)], is_running=True)[1::2]
    assert "▍" not in first["content"] and "Searching" in last["content"], "only the last is running"


def test_a_stopped_answer_is_marked() -> None:
    seen = rendered(answer_of(Turn(QUESTION, (HIT,), "The ferry leaves [1] at")))
    assert visible(seen.text) == "The ferry leaves 1 at Stopped."
    assert visible(rendered(answer_of(Turn(QUESTION))).text) == "Stopped."


def test_an_answer_that_was_not_found_is_marked() -> None:
    seen = rendered(answer_of(answered(SAYS_NOT_FOUND, found=False)))
    assert "Not in your documents." in seen.text and SAYS_NOT_FOUND in seen.text
    assert "a" not in seen.tags
    assert "Not in your documents." not in answer_of(answered())


def test_a_conversation_is_exported_with_cited_passages() -> None:
    written = export_markdown([answered(), answered(SAYS_NOT_FOUND, question="And\n on Sundays?", found=False)])
    assert written.startswith("# Conversation\n")
    for line in (
        f"## {QUESTION}",
        WRITTEN,
        "[1] island/ferry.md, line 7",
        f"> {HIT.text}",
        "[2] island/noon.md, line 3",
        "> Line one.\n> Line two.",
        "## And on Sundays?",
        SAYS_NOT_FOUND,
    ):
        assert f"\n{line}\n" in written, line
    assert written.index("[2] island") < written.index("## And"), "passages are below their answer"


def test_a_stopped_answer_is_exported() -> None:
    assert "The ferry lea" in export_markdown([Turn(QUESTION, (HIT,), "The ferry lea")])
    assert export_markdown([]).strip() == "# Conversation"
