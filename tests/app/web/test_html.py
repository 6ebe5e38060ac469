"""Escaping: any text is shown as it is and never becomes markup."""

from __future__ import annotations

import ast
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from repository import ROOT
from seen_html import HOSTILE, Seen, rendered, visible

from echo_index.app.web.html import as_markdown, attributes, button, escape_html, notice


@pytest.mark.parametrize("text", HOSTILE)
def test_html_shows_the_text_and_nothing_else(text: str) -> None:
    in_element, in_attribute = Seen(f"<p>{escape_html(text)}</p>"), Seen(f'<p title="{escape_html(text)}"></p>')
    in_single_quotes = Seen(f"<p title='{escape_html(text)}'></p>")
    assert in_element.tags == in_attribute.tags == in_single_quotes.tags == ["p"]
    assert visible(in_element.text) == visible(text)
    for seen in (in_attribute, in_single_quotes):
        assert seen.attributes[0].keys() == {"title"}
        assert visible(str(seen.attributes[0]["title"])) == visible(text)


def test_control_characters_are_replaced_and_line_ends_kept() -> None:
    assert escape_html("a\x00b\x1bc\x85d") == "a\ufffdb\ufffdc\ufffdd"
    assert escape_html("one\n\ttwo") == "one\n\ttwo"
    assert escape_html("fdp.\u202eexe\u2066!") == "fdp.exe!"
    assert escape_html(3) == "3"


@pytest.mark.parametrize(
    "text",
    [
        *HOSTILE,
        "# Heading",
        "Heading\n===",
        "Heading\n---",
        "***",
        "- item\n* item\n+ item",
        "1. first\n2) second",
        "> quote",
        "*a* **b** _c_ __d__ ~~e~~ `f`",
        "```\ncode\n```",
        "~~~\ncode",
        "    four spaces",
        "\tdef add(first, second):",
        "\n    code after a line",
        "first\n\n    code",
        "[text](https://evil.example)",
        "![picture](https://evil.example/x.png)",
        "[text][ref]\n\n[ref]: https://evil.example",
        "<https://evil.example>",
        "https://evil.example and www.evil.example",
        "<me@evil.example> me@evil.example",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "$x^2$ \\(y\\) $$z$$",
        "line\\\nbreak",
        "two  \nspaces",
        "&amp; &#60; &copy",
        "\\<b\\>",
        "<!-- comment -->",
        "<?php ?>",
        "<![CDATA[x]]>",
        "[^1]: note",
        "- [ ] task",
        "Ünïcödé 灯 😀 \u00a0 \u2028 end",
        "\r\nWindows\r\n",
        "[1] [99]",
        "<a href='#cite-1-1'>1</a>",
    ],
)
def test_markdown_shows_the_text_and_nothing_else(text: str) -> None:
    seen = rendered(as_markdown(text))
    assert {*seen.tags} <= {"p", "br"}
    assert visible(seen.text) == visible(text)


@given(st.text(st.sampled_from(list("<>&#*_`~[]()!|\\/:;.-+=$^\"'{}@ \n\t0123abchtpw灯\u2028\x00\u202e")), max_size=40))
@example("    - a")
@example("\t")
def test_no_text_becomes_markup_in_markdown(text: str) -> None:
    seen = rendered(as_markdown(text))
    assert {*seen.tags} <= {"p", "br"}
    assert visible(seen.text) == visible(text)


def test_line_ends_are_kept() -> None:
    assert rendered(as_markdown("one\ntwo\n\nthree")).tags == ["p", "br", "br", "br"]


@pytest.mark.parametrize("text", ["https://evil.example/a_b", "www.evil.example", "me@evil.example", "1. x", "$x$"])
def test_all_special_characters_are_escaped(text: str) -> None:
    assert not re.search(r"[:./@$_*`<>|\[\]]", as_markdown(text))


@pytest.mark.parametrize(
    "value",
    [
        *HOSTILE[:6],
        "notes/a b.md",
        "two\nlines",
        "\u202aC:\u202c report.md",
        "\u2068photo\u2069.md",
        "bell\x07.md",
    ],
)
def test_data_attributes_keep_their_values(value: str) -> None:
    [found] = Seen(f"<p {attributes(source=value, start=3, shown_to='x')}></p>").attributes
    assert found == {"data-source": value, "data-start": "3", "data-shown-to": "x"}


@pytest.mark.parametrize("text", HOSTILE)
def test_a_button_has_its_action_and_data(text: str) -> None:
    seen = Seen(button(text, "open", title=text, source=text))
    assert seen.tags == ["button"]
    assert visible(seen.text) == visible(text)
    found = seen.attributes[0]
    assert found.keys() == {"type", "class", "data-action", "data-source", "title", "aria-label"}
    assert (found["type"], found["data-action"]) == ("button", "open")
    assert visible(str(found["title"])) == visible(str(found["aria-label"])) == visible(text)


def test_a_button_without_a_title_is_named_by_its_label() -> None:
    assert "title=" not in button("Open", "open") and "aria-label" not in button("Open", "open")


def test_the_script_handles_every_action() -> None:
    script = (ROOT / "app/web/assets/actions.js").read_text(encoding="utf-8")
    listed = re.search(r"const actions = \[(.*?)\]", script)
    assert listed
    known = {*re.findall(r"'(\w+)'", listed[1]), *re.findall(r"data\.action === '(\w+)'", script)}
    used = {
        (file.name, ast.literal_eval(node.args[1]))
        for file in (ROOT / "app/web").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "button"
    }
    assert len(used) > 4
    assert [(name, action) for name, action in sorted(used) if action not in known] == []


@pytest.mark.parametrize("text", HOSTILE)
def test_a_notice_shows_sentence_and_remedy(text: str) -> None:
    seen = Seen(notice(text, remedy=text, kind="error"))
    assert seen.tags == ["div", "p", "strong", "p"]
    assert visible(seen.text) == visible(text) * 2
    assert seen.attributes[0] == {"class": "notice error", "role": "alert"}


def test_only_errors_have_the_role_alert() -> None:
    assert Seen(notice("Saved.")).attributes[0] == {"class": "notice info", "role": "status"}
    assert Seen(notice("Saved.")).tags == ["div", "p", "strong"]
    assert "</strong></p><b>x</b></div>" in notice("Saved.", actions="<b>x</b>")
