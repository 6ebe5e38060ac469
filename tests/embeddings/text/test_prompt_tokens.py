"""Token ids and pooled spans of prompts; special tokens in texts are plain text."""

from __future__ import annotations

import resource
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.text import prompt_tokens
from echo_index.embeddings.text.echo_prompt import (
    CLASSICAL,
    TUNED_DOCUMENT,
    TUNED_QUERY,
    ZERO_SHOT,
    EchoPrompt,
)
from echo_index.embeddings.text.prompt_tokens import PromptTokenizer
from echo_index.embeddings.text.tokenizer import ModelTokenizer
from echo_index.errors import PromptError, TextError

TWICE = EchoPrompt("First {text} then {echo}")


@pytest.fixture(scope="module")
def vocabulary(tiny_model: LanguageModel) -> ModelTokenizer:
    return tiny_model.tokenizer


@pytest.fixture
def tokenizer(vocabulary: ModelTokenizer) -> PromptTokenizer:
    return PromptTokenizer(vocabulary, max_tokens=1_000_000)


def test_the_ids_are_those_of_the_pieces_in_order(tokenizer: PromptTokenizer, vocabulary: ModelTokenizer) -> None:
    text = vocabulary.encode("lazy dog")
    tokens = tokenizer.assemble(TWICE, ["lazy dog"])[0]
    assert list(tokens.ids) == [
        vocabulary.bos_id,
        *vocabulary.encode("First "),
        *text,
        *vocabulary.encode(" then "),
        *text,
    ]


def test_the_span_contains_only_the_second_copy(tokenizer: PromptTokenizer, vocabulary: ModelTokenizer) -> None:
    tokens = tokenizer.assemble(TWICE, ["lazy dog"])[0]
    assert list(tokens.ids[tokens.start : tokens.end]) == vocabulary.encode("lazy dog")
    assert tokens.end == len(tokens)


def test_the_span_contains_the_end_token_of_the_prompt(tokenizer: PromptTokenizer, vocabulary: ModelTokenizer) -> None:
    tokens = tokenizer.assemble(TUNED_DOCUMENT, ["lazy dog"])[0]
    assert list(tokens.ids[tokens.start : tokens.end]) == [*vocabulary.encode("lazy dog"), vocabulary.end_id]


def test_words_after_the_second_copy_are_not_pooled(tokenizer: PromptTokenizer, vocabulary: ModelTokenizer) -> None:
    tokens = tokenizer.assemble(EchoPrompt("{text} {echo} the end"), ["lazy dog"])[0]
    assert list(tokens.ids[tokens.start : tokens.end]) == vocabulary.encode("lazy dog")
    assert list(tokens.ids[tokens.end :]) == vocabulary.encode(" the end")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(min_size=1, max_size=80), limit=st.integers(1, 20))
def test_both_copies_are_the_same_first_tokens_of_the_text(vocabulary: ModelTokenizer, text: str, limit: int) -> None:
    tokens = PromptTokenizer(vocabulary, max_tokens=limit).assemble(TWICE, [text])[0]
    copy = tuple(vocabulary.encode(text)[:limit])
    first = 1 + len(vocabulary.encode("First "))
    assert tokens.ids[tokens.start : tokens.end] == copy
    assert tokens.first_copy == (first, first + len(copy))
    assert tokens.ids[first : first + len(copy)] == copy


def test_a_classical_prompt_has_no_first_copy(tokenizer: PromptTokenizer) -> None:
    assert tokenizer.assemble(CLASSICAL, ["lazy dog"])[0].first_copy is None


def test_an_instruction_is_cut_like_a_text(vocabulary: ModelTokenizer) -> None:
    long = "Find the passage that answers the question. " * 9
    tokens = PromptTokenizer(vocabulary, max_tokens=3).assemble(TUNED_QUERY, ["dog"], instruction=long)[0]
    start = 1 + len(vocabulary.encode("Instruct:"))
    after = vocabulary.encode(",\nQuery:")
    assert list(tokens.ids[start : start + 3 + len(after)]) == [*vocabulary.encode(long)[:3], *after]


@pytest.mark.parametrize("text", ["plain", "<bos>", "<bos><bos> text <eos>", "<|user|>"])
def test_the_bos_token_appears_once_at_the_start(
    tokenizer: PromptTokenizer, vocabulary: ModelTokenizer, text: str
) -> None:
    tokens = tokenizer.assemble(ZERO_SHOT, [text])[0]
    assert tokens.ids[0] == vocabulary.bos_id
    assert tokens.ids.count(vocabulary.bos_id or 0) == 1


@pytest.mark.model
@pytest.mark.parametrize(
    ("model", "text"), [("gemma", "<bos>a<eos><start_of_turn>"), ("smollm", "<|im_start|>a<|im_end|>")]
)
def test_names_of_special_tokens_in_a_text_are_plain_text(
    request: pytest.FixtureRequest, model: str, text: str
) -> None:
    vocabulary = request.getfixturevalue(model).tokenizer
    tokens = PromptTokenizer(vocabulary, max_tokens=99).assemble(ZERO_SHOT, [text])[0]
    span = tokens.ids[tokens.start : tokens.end]
    assert vocabulary.decode(span) == text  # decode leaves special tokens out
    assert vocabulary.bos_id not in span
    assert tokens.ids.count(vocabulary.bos_id) == 1


def test_a_model_without_a_bos_token_gets_none(vocabulary: ModelTokenizer) -> None:
    bare = ModelTokenizer(vocabulary.full, bos_id=None, end_id=None)
    tokens = PromptTokenizer(bare, max_tokens=99).assemble(EchoPrompt("{echo}"), ["dog"])[0]
    assert list(tokens.ids) == vocabulary.encode("dog")
    assert tokens.start == 0


def test_an_end_slot_needs_a_model_with_an_end_token(vocabulary: ModelTokenizer) -> None:
    bare = ModelTokenizer(vocabulary.full, bos_id=None, end_id=None)
    with pytest.raises(PromptError, match="this model has no end token"):
        PromptTokenizer(bare, max_tokens=99).assemble(TUNED_DOCUMENT, ["dog"])


def test_an_empty_text_is_refused_by_its_number(tokenizer: PromptTokenizer) -> None:
    with pytest.raises(TextError, match="Text 1 of 3 is empty"):
        tokenizer.assemble(TWICE, ["one", "", "three"])


def test_a_text_that_is_not_unicode_is_refused_by_its_number(tokenizer: PromptTokenizer) -> None:
    with pytest.raises(TextError, match="Text 2 of 3 is not valid Unicode"):
        tokenizer.assemble(TWICE, ["one", "two", "caf\udce9"])


def test_a_missing_instruction_is_refused(tokenizer: PromptTokenizer) -> None:
    with pytest.raises(PromptError, match="takes an instruction, but none was given"):
        tokenizer.assemble(TUNED_QUERY, ["dog"])


def test_an_empty_instruction_is_an_instruction(tokenizer: PromptTokenizer, vocabulary: ModelTokenizer) -> None:
    tokens = tokenizer.assemble(TUNED_QUERY, ["dog"], instruction="")[0]
    head = [vocabulary.bos_id, *vocabulary.encode("Instruct:"), *vocabulary.encode(",\nQuery:")]
    assert list(tokens.ids[: len(head)]) == head


@pytest.mark.model
@pytest.mark.parametrize("model", ["gemma", "smollm"])
@pytest.mark.parametrize(
    "text",
    [
        "   ",
        "\n\t",
        "a",
        "nul\0in\0the middle",
        "\0",
        "\U0001f9d1\u200d\U0001f680 \U0001f44d\U0001f3fd",
        "שלום עולם, مرحبا بالعالم",
        "e\u0301\u200b",
        "\ufeffBOM",
    ],
    ids=["spaces", "newline and tab", "one letter", "nul", "only nul", "emoji", "right to left", "marks", "bom"],
)
def test_an_unusual_text_is_pooled_completely(request: pytest.FixtureRequest, model: str, text: str) -> None:
    vocabulary = request.getfixturevalue(model).tokenizer
    tokens = PromptTokenizer(vocabulary, max_tokens=99).assemble(TWICE, [text])[0]
    assert vocabulary.decode(tokens.ids[tokens.start : tokens.end]) == text


def test_a_very_long_text_is_cut_quickly(vocabulary: ModelTokenizer) -> None:
    text = "the quick brown fox " * 25_000
    began = time.monotonic()
    tokens = PromptTokenizer(vocabulary, max_tokens=256).assemble(TWICE, [text])[0]
    assert time.monotonic() - began < 20  # a quadratic one would take minutes
    assert len(vocabulary.encode(text)) >= 100_000
    assert tokens.end - tokens.start == 256


def test_texts_keep_their_order(tokenizer: PromptTokenizer, vocabulary: ModelTokenizer) -> None:
    texts = ["a long text about foxes", "b", "some more words"]
    assembled = tokenizer.assemble(TWICE, texts)
    assert [vocabulary.decode(tokens.ids[tokens.start : tokens.end]) for tokens in assembled] == texts


def test_no_texts_give_no_tokens(tokenizer: PromptTokenizer) -> None:
    assert tokenizer.assemble(TWICE, []) == []


def test_token_starts_are_where_the_tokens_begin(tokenizer: PromptTokenizer, vocabulary: ModelTokenizer) -> None:
    text = "The quick brown fox — naïve 🦊 fox"
    starts = tokenizer.token_starts(text)
    assert list(starts) == sorted(starts)
    assert len(starts) == len(vocabulary.encode(text))
    assert starts[0] == 0
    assert text.index(" brown") in starts


def test_a_limit_that_leaves_no_token_is_refused(vocabulary: ModelTokenizer) -> None:
    with pytest.raises(TextError, match="max_tokens is -1"):
        PromptTokenizer(vocabulary, max_tokens=-1)


@pytest.mark.parametrize(
    "text", ["word " * 100, "wide 🦊\n" * 60, "x" * 1000, " " * 1000, "a" + "\n" * 500 + "b" * 500]
)
def test_a_long_text_is_tokenized_in_slices(
    tokenizer: PromptTokenizer, vocabulary: ModelTokenizer, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    whole = list(tokenizer.token_starts(text))
    assert whole == [start for start, _ in vocabulary.encode_batch([text])[0].offsets]
    monkeypatch.setattr(prompt_tokens, "_SLICE_CHARACTERS", 100)
    sliced, longest = list(tokenizer.token_starts(text)), []
    encode_batch = vocabulary.encode_batch
    monkeypatch.setattr(vocabulary, "encode_batch", lambda texts: longest.append(len(texts[0])) or encode_batch(texts))
    assert list(tokenizer.token_starts(text)) == sliced == sorted(sliced), "the same each time"
    assert max(longest) <= 100
    assert sum(longest) == len(text)
    assert abs(len(sliced) - len(whole)) <= 2 * len(longest)
    if " " in text.strip():
        assert sliced == whole, "cut before a space, the tokens are the same"


@pytest.mark.parametrize("piece", ["x", "🦊", " ", "word ", "a. "])
def test_a_line_of_a_million_characters_takes_little_memory_and_time(tokenizer: PromptTokenizer, piece: str) -> None:
    text = (piece * 1_000_000)[:1_000_000]
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    starts = tokenizer.token_starts(text)
    assert time.monotonic() - began < 60
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000, "kilobytes"
    assert 0 < starts[-1] < len(text)
