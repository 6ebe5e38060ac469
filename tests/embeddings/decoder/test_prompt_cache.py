"""Prompts that begin alike are read once, and give the same text as if they were read anew."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from passes import recorded_passes
from tiny_models import ARCHITECTURES, save_model

from echo_index.embeddings.decoder.kv_cache import KVCache
from echo_index.embeddings.decoder.prompt_cache import PromptCache, PromptTokens
from echo_index.embeddings.generation.text_generation import generate
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.model_loading import load_model

SYSTEM = tuple(range(10, 40))
FIRST = PromptTokens((*SYSTEM, *range(50, 90), 3), (30, 70))
FOLLOW_UP = PromptTokens((*FIRST.ids, 7, 8, 9), (30, 70, 71))
OTHER = PromptTokens((*SYSTEM, *range(100, 130)), (30,))
UNRELATED = PromptTokens((11, *SYSTEM), (30,))


def read_until(tokens: int) -> KVCache:
    return KVCache(tokens=tokens)


@pytest.fixture
def model(tmp_path: Path) -> LanguageModel:
    """Return a model of its own, without a prompt that another test has asked."""
    return load_model(str(save_model(tmp_path, ARCHITECTURES["qwen2, windows"](), seed=7)), device="cpu")


def text(model: LanguageModel, prompt: PromptTokens) -> str:
    return "".join(generate(model, prompt, max_tokens=12))


def test_parts_end_where_they_are_said_to() -> None:
    assert FIRST.parts_after(0) == [FIRST.ids[:30], FIRST.ids[30:70], (3,)]
    assert FIRST.parts_after(70) == [(3,)]
    assert PromptTokens((1, 2)).parts_after(0) == [(1, 2)]


@pytest.mark.parametrize(
    ("prompt", "shared"), [(FIRST, 70), (FOLLOW_UP, 70), (OTHER, 30), (UNRELATED, 0), (PromptTokens(FIRST.ids), 0)]
)
def test_the_parts_that_are_the_same_are_taken(prompt: PromptTokens, shared: int) -> None:
    cache = PromptCache()
    cache.give_back(FIRST, read_until(90))
    assert cache.take(prompt).tokens == shared
    assert cache.take(FIRST).tokens == (0 if shared else 70), "what is in use is not shared"


def test_the_prompt_with_the_longest_beginning_is_taken() -> None:
    cache = PromptCache()
    cache.give_back(FIRST, read_until(90))
    cache.give_back(OTHER, read_until(90))
    assert cache.take(FOLLOW_UP).tokens == 70
    assert cache.take(FOLLOW_UP).tokens == 30


def test_two_prompts_are_kept() -> None:
    cache = PromptCache()
    for prompt in (FIRST, OTHER, UNRELATED):
        cache.give_back(prompt, read_until(90))
    assert cache.take(FOLLOW_UP).tokens == 30, "the first one was dropped"


def test_a_prompt_that_was_not_read_completely_is_not_kept() -> None:
    cache = PromptCache()
    cache.give_back(FIRST, read_until(30))
    assert cache.take(FIRST).tokens == 0


def test_only_what_is_new_is_read(model: LanguageModel) -> None:
    expected = {prompt: text(model, PromptTokens(prompt.ids)) for prompt in (FIRST, FOLLOW_UP, OTHER)}
    assert len({*expected.values()}) == 3
    for prompt, sizes in ((FIRST, [30, 40]), (FOLLOW_UP, [3]), (OTHER, [30]), (FIRST, [40])):
        with recorded_passes() as passes:
            assert text(model, prompt) == expected[prompt]
        assert [len(ids) for ids in passes if len(ids) > 1] == sizes


def test_a_text_that_is_not_read_to_its_end_leaves_its_prompt(model: LanguageModel) -> None:
    whole = text(model, PromptTokens(FIRST.ids))
    stopped = generate(model, FIRST, max_tokens=12)
    next(stopped)
    stopped.close()
    with recorded_passes() as passes:
        assert text(model, FIRST) == whole
    assert all(len(ids) == 1 for ids in passes)


def test_texts_that_are_written_at_once_do_not_share_a_cache(model: LanguageModel) -> None:
    prompts = [FIRST, FOLLOW_UP, OTHER, UNRELATED] * 4
    expected = [text(model, PromptTokens(prompt.ids)) for prompt in prompts]
    with ThreadPoolExecutor(8) as pool:
        assert [*pool.map(lambda prompt: text(model, prompt), prompts)] == expected


def test_only_what_can_be_shared_stays_in_memory(model: LanguageModel) -> None:
    text(model, FIRST)
    [(_, cache)] = model.prompt_cache._kept
    assert [len(keys) for keys in cache.keys] == [len(values) for values in cache.values] == [70] * model.depth
    assert {keys.untyped_storage().nbytes() for keys in cache.keys} == {cache.keys[0].nbytes}
