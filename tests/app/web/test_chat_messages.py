"""Turns as chat messages and as a file: questions are text, answers have lists and tables, citations are links."""

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
    assert links.tags == ["div", "p", "a", "a", "div", "p", "a"]
    anchors = [found for found in links.attributes if "href" in found]
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


_ANSWER_TAGS = {
    *("div", "p", "br", "a", "em", "strong", "s", "code", "pre", "span", "blockquote", "ul", "ol", "li", "hr"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
_RENDERED = {
    "# Heading\n\n- list\n\n| a |\n|---|\n": "Headinglista",
    "`[1]`": "[1]",
    "It is said [1] in **bold** [at](https://evil.example)": "It is said 1 in bold [at](https://evil.example)",
}
"""What is visible of an answer that has marks."""


@pytest.mark.parametrize("text", HOSTILE_MARKDOWN)
@pytest.mark.parametrize("kind", ["question", "running", "answer", "stopped", "not found"])
def test_text_of_turns_does_nothing(text: str, kind: str) -> None:
    if kind == "question":
        content = conversation([answered(question=text)])[0]["content"]
    elif kind == "answer":
        content = answer_of(answered(text))
    elif kind == "not found":
        content = answer_of(answered(text, found=False))
    else:
        content = answer_of(Turn(QUESTION, (HIT,), text), is_running=kind == "running")
    seen = rendered(content)
    allowed = {"p", "br"} if kind == "question" else {"p", "br", "em", "strong"}
    links = [found for found in seen.attributes if "href" in found]
    assert {*seen.tags} <= (allowed if kind in ("question", "not found") else _ANSWER_TAGS)
    assert {link["href"] for link in links} <= {"#cite-1-1"}
    assert all(link.keys() == {"class", "href", "title", "aria-label"} for link in links)
    shown = text if kind in ("question", "not found") else _RENDERED.get(text, text.replace("[1]", "1"))
    assert visible(shown) in visible(seen.text)


@given(st.text("<>&#*_`~[]()!|\\/:;.-+=$\"'@ \n01ahtpsw灯", max_size=40))
def test_answers_link_only_to_passages(text: str) -> None:
    seen = rendered(answer_of(answered(text)))
    assert {*seen.tags} <= _ANSWER_TAGS
    assert all(found["class"] == "citation" for found in seen.attributes if "href" in found)
    assert not [
        name for found in seen.attributes for name in found if name in ("src", "style") or name.startswith("on")
    ]


def test_an_answer_has_lists_tables_and_code() -> None:
    listed, table = "- *four* crowns [1]\n- less [2]", "| a | b |\n|---|---|\n| c [1] | `[2]` |"
    text = f"It costs:\n\n{listed}\n\n{table}\n\n```py\nx = a[1]\n\ny\n```"
    content = answer_of(answered(text))
    assert "\n" not in content, "a blank line would end the block"
    seen = rendered(content)
    assert [seen.tags.count(tag) for tag in ("li", "table", "td", "pre", "em")] == [2, 1, 2, 1, 1]
    assert [found["href"] for found in seen.attributes if "href" in found] == [
        *("#cite-1-1", "#cite-1-2", "#cite-1-1"),
    ]
    assert "x = a[1]\n\ny" in seen.text and "[2]" in seen.text


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
