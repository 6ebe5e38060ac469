"""Many continuations at once: the same as one after the other, whatever texts stand beside each other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from passes import recorded_passes
from tiny_models import ARCHITECTURES, FALL_BACK, save_model

from echo_index.embeddings.generation import branching_generation
from echo_index.embeddings.generation.branching_generation import BranchingPrompts, generate_branches
from echo_index.embeddings.generation.text_generation import generate
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.model_loading import load_model

OURS = [name for name in ARCHITECTURES if name not in FALL_BACK]
PREFIX = "Read the passage and ask for what it says."
TEXTS = ["The quick brown fox jumps over the lazy dog. " * 3, "x", "Pack my box with five dozen jugs.", "wizards " * 9]
ENDINGS = ["A question:", "?", "The keywords of a person who searches for it:"]


def prompts_of(model: LanguageModel, *, prefix: str = PREFIX) -> BranchingPrompts:
    encode = model.tokenizer.encode
    return BranchingPrompts(
        tuple(encode(prefix)) if prefix else (),
        [tuple(encode(text)) for text in TEXTS],
        [tuple(encode(ending)) for ending in ENDINGS],
    )


def one_by_one(model: LanguageModel, prompts: BranchingPrompts, *, max_tokens: int, stop: str) -> list[list[str]]:
    return [
        [
            "".join(generate(model, (*prompts.prefix, *text, *ending), max_tokens=max_tokens, stop=[stop]))
            for ending in prompts.endings
        ]
        for text in prompts.texts
    ]


def at_once(model: LanguageModel, prompts: BranchingPrompts, *, max_tokens: int, stop: str) -> list[list[str]]:
    found: dict[int, list[str]] = {}
    for positions, written in generate_branches(model, prompts, max_tokens=max_tokens, stop=stop):
        found.update(zip(positions, written, strict=True))
    return [found[position] for position in range(len(prompts.texts))]


@pytest.mark.parametrize("architecture", [*OURS, *sorted(FALL_BACK)])
def test_every_architecture_writes_what_it_writes_alone(architecture: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = load_model(str(save_model(tmp_path, ARCHITECTURES[architecture]())))
    prompts = prompts_of(model)
    expected = one_by_one(model, prompts, max_tokens=24, stop="\n")
    assert at_once(model, prompts, max_tokens=24, stop="\n") == expected
    assert len({text for row in expected for text in row}) > len(TEXTS)  # the endings make a difference


def test_a_prefix_is_not_needed(tiny_model: LanguageModel) -> None:
    prompts = prompts_of(tiny_model, prefix="")
    assert at_once(tiny_model, prompts, max_tokens=10, stop="\n") == one_by_one(
        tiny_model, prompts, max_tokens=10, stop="\n"
    )


def test_a_continuation_ends_before_the_stop_string(tiny_model: LanguageModel) -> None:
    prompts = prompts_of(tiny_model)
    whole = at_once(tiny_model, prompts, max_tokens=20, stop="\n")
    stop = whole[2][0][4:6]
    assert stop
    stopped = at_once(tiny_model, prompts, max_tokens=20, stop=stop)
    assert stopped == [[text.split(stop)[0] for text in row] for row in whole]
    assert stopped[2][0] == whole[2][0][:4] or stop in whole[2][0][:5]


def test_batches_of_texts_change_nothing_and_come_with_their_positions(
    tiny_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = prompts_of(tiny_model)
    together = at_once(tiny_model, prompts, max_tokens=12, stop="\n")
    monkeypatch.setattr(branching_generation, "_BATCH_TOKENS", 8)
    assert len(list(generate_branches(tiny_model, prompts, max_tokens=12, stop="\n"))) > 1
    assert at_once(tiny_model, prompts, max_tokens=12, stop="\n") == together


@pytest.mark.parametrize(("most", "expected"), [(1, [34, 12, 8, 1]), (12, [34, 12, 9]), (70, [55])])
def test_the_texts_of_a_batch_can_be_read_in_several_passes(
    most: int, expected: list[int], tiny_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = prompts_of(tiny_model)
    assert sorted(map(len, prompts.texts)) == [1, 8, 12, 34]
    together = at_once(tiny_model, prompts, max_tokens=12, stop="\n")
    monkeypatch.setattr(branching_generation, "_PASS_TOKENS", most)
    with recorded_passes() as passes:
        assert at_once(tiny_model, prompts, max_tokens=12, stop="\n") == together
    assert [len(ids) for ids in passes[1 : 1 + len(expected)]] == expected


def test_prefix_and_texts_are_read_once(tiny_model: LanguageModel) -> None:
    prompts = prompts_of(tiny_model)
    with recorded_passes() as passes:
        at_once(tiny_model, prompts, max_tokens=5, stop="\n")
    read = sum(len(ids) for ids in passes)
    endings = len(TEXTS) * len(ENDINGS) * max(len(ending) for ending in prompts.endings)
    most_written = len(TEXTS) * len(ENDINGS) * 4
    assert read <= len(prompts.prefix) + sum(map(len, prompts.texts)) + endings + most_written
