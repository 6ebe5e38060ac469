"""Valid and invalid prompt templates."""

from __future__ import annotations

import pytest

from echo_index.embeddings.text.echo_prompt import (
    CLASSICAL,
    TUNED_DOCUMENT,
    TUNED_QUERY,
    ZERO_SHOT,
    EchoPrompt,
    Slot,
)
from echo_index.errors import PromptError


def test_a_template_is_text_and_slots_in_order() -> None:
    assert EchoPrompt("Say {text} again: {echo}").pieces == ("Say ", Slot.TEXT, " again: ", Slot.ECHO)


def test_the_preset_prompts_equal_those_of_the_paper() -> None:
    assert ZERO_SHOT.template == "Rewrite the following paragraph: {text} The rewritten paragraph: {echo}"
    assert TUNED_QUERY.template == "Instruct:{instruction},\nQuery:{text}\nQuery again:{echo}{end}"
    assert TUNED_DOCUMENT.template == "Document:{text}\nDocument again:{echo}{end}"
    assert CLASSICAL.template == "Write a paragraph: {echo}"


def test_a_prompt_knows_whether_it_takes_an_instruction() -> None:
    assert TUNED_QUERY.takes_instruction
    assert not TUNED_DOCUMENT.takes_instruction


def test_a_prompt_knows_whether_it_contains_the_text_twice() -> None:
    assert ZERO_SHOT.is_echo
    assert not CLASSICAL.is_echo


def test_a_prompt_with_the_first_copy_alone_is_one_string() -> None:
    prompt = EchoPrompt("{instruction}: {text}{end}")
    assert prompt.pieces == (Slot.INSTRUCTION, ": ", Slot.TEXT, Slot.END)
    assert prompt.is_joined and not prompt.is_echo
    assert not CLASSICAL.is_joined and not ZERO_SHOT.is_joined
    assert EchoPrompt("{text}").is_joined


def test_texts_after_a_colon_belong_to_the_slot() -> None:
    prompt = EchoPrompt("Instruct:{instruction:,}\nQuery:{text} {echo}{end:</s>}")
    assert prompt.pieces == ("Instruct:", Slot.INSTRUCTION, "\nQuery:", Slot.TEXT, " ", Slot.ECHO, Slot.END)
    assert (prompt.after_instruction, prompt.end_token) == (",", "</s>")
    assert (TUNED_QUERY.after_instruction, TUNED_QUERY.end_token) == ("", None)


def test_doubled_braces_are_literal_braces() -> None:
    assert EchoPrompt("{{x}} {{{text}}} {echo}").pieces == ("{x} {", Slot.TEXT, "} ", Slot.ECHO)


def test_prompts_with_the_same_template_are_equal() -> None:
    assert EchoPrompt("a {echo}") == EchoPrompt("a {echo}")
    assert EchoPrompt("a {echo}") != EchoPrompt("b {echo}")


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("Say {instruction}", "nothing to pool: the slot {echo} is missing"),
        ("", "nothing to pool: the slot {echo} is missing"),
        ("{name}: {echo}", "unknown slot {name}"),
        ("{}: {echo}", "unknown slot {}"),
        ("{0}: {echo}", "unknown slot {0}"),
        ("{text.upper}: {echo}", "unknown slot {text.upper}"),
        ("{text:>9}: {echo}", "unknown slot {text}"),
        ("{text!r}: {echo}", "unknown slot {text}"),
        ("{text} {text} {echo}", "the slot {text} more than once"),
        ("{text} {echo} {echo}", "the slot {echo} more than once"),
        ("{echo} {text}", "has {text} after {echo}, which cannot attend to it"),
        ("{text} {echo} {instruction}", "has {instruction} after {echo}, which cannot attend to it"),
        ("{text} {end} {echo}", "continues after {end}, the end of the sequence"),
        ("{text} {echo}{end} more", "continues after {end}, the end of the sequence"),
        ("{text} {echo} more {end}", "has text between {echo} and {end}"),
        ("{text} {instruction}", "has {instruction} after {text}, which cannot attend to it"),
        ("{text} and more", "contains the text once and continues after it"),
        ("{text} {end}", "has text between {text} and {end}"),
        ("{text}{end} more", "continues after {end}, the end of the sequence"),
        ("{end:</s>}", "nothing to pool: the slot {echo} is missing"),
        ("{echo:</s>}", "unknown slot {echo}"),
        ("{text} {echo}{end:</s>}{end}", "the slot {end} more than once"),
        ("{text {echo}", "cannot be read"),
        ("text} {echo}", "cannot be read"),
    ],
)
def test_an_impossible_template_is_refused_with_a_reason(template: str, sentence: str) -> None:
    with pytest.raises(PromptError) as refusal:
        EchoPrompt(template)
    assert sentence in refusal.value.message
    assert repr(template) in refusal.value.message


def test_the_error_for_a_single_brace_says_how_to_write_it() -> None:
    with pytest.raises(PromptError, match="Write literal braces as"):
        EchoPrompt("} {echo}")
