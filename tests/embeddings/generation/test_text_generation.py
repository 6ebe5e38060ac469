"""Text generation: equal to transformers, with stop strings and sampling, and without loops."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from passes import recorded_passes
from tiny_models import ARCHITECTURES, FALL_BACK, llama_config, save_model
from transformers import AutoModelForCausalLM

from echo_index.embeddings.decoder.kv_cache import KVCache
from echo_index.embeddings.decoder.linear import Precision
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.generation.text_generation import _MIN_FORBIDDEN_REPEAT, _NativeDecoder, generate
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.model_loading import load_model
from echo_index.errors import TextError

OURS = [name for name in ARCHITECTURES if name not in FALL_BACK]
PROMPTS = ["The quick brown", "Pack my box", "wizards", "Find the passage that answers"]


def greedy(model: LanguageModel, prompt: Sequence[int], *, max_tokens: int) -> list[int]:
    """Return the tokens that transformers generates."""
    ids = torch.tensor([list(prompt)])
    written = model.causal_lm.generate(  # type: ignore[operator]
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=max_tokens, pad_token_id=1
    )
    found: list[int] = written[0, len(prompt) :].tolist()
    return found


def tokens_written(model: LanguageModel, prompt: Sequence[int], *, count: int) -> list[int]:
    """Return the first `count` tokens of generate(), from the inputs of the passes that follow each."""
    prompt = list(prompt)
    if model.uses_native_decoder:
        with recorded_passes() as passes:
            list(generate(model, prompt, max_tokens=count + 1))
        return [ids[-1] for ids in passes][1:]
    given: list[int] = []

    def note(module: object, args: object, inputs: dict[str, torch.Tensor]) -> None:
        given.append(int(inputs["input_ids"][0, -1]))

    hook = model.causal_lm.register_forward_pre_hook(note, with_kwargs=True)
    try:
        list(generate(model, prompt, max_tokens=count + 1))
    finally:
        hook.remove()
    return given[1:]


def runs_of(tokens: Sequence[int], *, length: int) -> list[tuple[int, ...]]:
    return [tuple(tokens[start : start + length]) for start in range(len(tokens) - length + 1)]


def scripted(tmp_path: Path, continuation: Sequence[int]) -> LanguageModel:
    """Return a tiny model that continues token n with `continuation[n]`."""
    config = llama_config(hidden_size=512, head_dim=8, num_hidden_layers=1, tie_word_embeddings=False)
    folder = save_model(tmp_path / "scripted", config)
    whole = AutoModelForCausalLM.from_pretrained(folder)
    state = whole.state_dict()
    for name, weight in state.items():
        weight.fill_(1.0 if "norm" in name else 0.0)
    size = config.vocab_size
    state["model.embed_tokens.weight"][:, :size].copy_(torch.eye(size))
    for token, following in enumerate(continuation):
        state["lm_head.weight"][following, token] = 1.0
    whole.save_pretrained(folder)
    return load_model(str(folder), device="cpu")


def cycle(model: LanguageModel, words: Sequence[int]) -> list[int]:
    """Return for each token the next one, such that `words` are a cycle."""
    following = list(range(model.causal_lm.config.vocab_size))
    for word, after in zip(words, [*words[1:], words[0]], strict=True):
        following[word] = after
    return following


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_greedy_generation_equals_transformers(architecture: str, tmp_path: Path) -> None:
    model = load_model(str(save_model(tmp_path, ARCHITECTURES[architecture]())), device="cpu")
    compared = 0
    for text in PROMPTS:
        prompt = [0, *model.tokenizer.encode(text)]
        expected = [token for token in greedy(model, prompt, max_tokens=12) if token != model.tokenizer.end_id]
        runs = runs_of(expected, length=_MIN_FORBIDDEN_REPEAT)
        if len(set(runs)) == len(runs):  # transformers may repeat a sequence
            assert tokens_written(model, prompt, count=12) == expected
            compared += 1
    assert compared


@torch.inference_mode()
def logits_of_transformers(model: LanguageModel, ids: Sequence[int]) -> torch.Tensor:
    logits: torch.Tensor = model.causal_lm(input_ids=torch.tensor([list(ids)]), use_cache=False).logits[0, -1]
    return logits


def long_prompt(size: int) -> list[int]:
    return torch.randint(5, 300, (size,), generator=torch.Generator().manual_seed(8)).tolist()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_generation_after_a_prompt_longer_than_any_window_equals_transformers(
    architecture: str, tmp_path: Path
) -> None:
    model = load_model(str(save_model(tmp_path, ARCHITECTURES[architecture]())), device="cpu")
    prompt = long_prompt(140)
    written = tokens_written(model, prompt, count=5)  # too few for a forbidden repeat
    for number in range(len(written)):
        expected = logits_of_transformers(model, prompt + written[:number])
        assert written[number] == int(expected.argmax())
    assert written


@pytest.mark.parametrize("architecture", OURS)
def test_a_prompt_may_be_read_in_parts(architecture: str, tmp_path: Path) -> None:
    model = load_model(str(save_model(tmp_path, ARCHITECTURES[architecture]())), device="cpu")
    prompt = long_prompt(140)
    expected = logits_of_transformers(model, prompt)
    for cuts in ([], [1], [64], [3, 70, 71, 135], range(1, 140)):
        continuation = _NativeDecoder(model)
        bounds = [0, *cuts, len(prompt)]
        with torch.inference_mode():
            *_, found = (continuation.next_logits(prompt[start:end]) for start, end in pairwise(bounds))
        assert found.shape == expected.shape
        assert torch.allclose(found, expected, atol=1e-3 * float(expected.abs().max()))


@pytest.mark.parametrize("architecture", OURS)
def test_argmax_token_is_the_best_by_logits_that_is_not_excluded(architecture: str, tmp_path: Path) -> None:
    model = load_model(str(save_model(tmp_path, ARCHITECTURES[architecture]())), device="cpu")
    by_logits, chosen = _NativeDecoder(model), _NativeDecoder(model)
    prompt = long_prompt(12)
    with torch.inference_mode():
        for left_out, token in enumerate(prompt):  # from the second on with int8 copies of the head, where int8 is fast
            order = by_logits.next_logits([token]).argsort(descending=True).tolist()
            assert chosen.argmax_token([token], exclude=order[:left_out]) == order[left_out]


def test_generation_does_not_use_the_adapter(tiny_folder: Path, tiny_model: LanguageModel, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    lora = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_folder), lora).save_pretrained(tmp_path)
    adapted = load_model(str(tiny_folder), adapter=tmp_path, device="cpu")
    prompt = tiny_model.tokenizer.encode("The quick brown")
    expected = "".join(generate(tiny_model, prompt, max_tokens=30))
    before = "".join(generate(adapted, prompt, max_tokens=30))
    vectors = EchoEncoder(adapted).encode_documents(["fox"])
    with recorded_passes() as passes:
        after = "".join(generate(adapted, prompt, max_tokens=30))
    assert len(passes) > 1
    assert before == after == expected != ""
    tokens = torch.tensor([prompt])
    with torch.inference_mode():
        state = adapted.decoder(Precision.FP32).extend(KVCache(), prompt, layer=adapted.depth)
        assert torch.allclose(state, adapted.base_model(input_ids=tokens).last_hidden_state[:, -1], atol=1e-4)
        assert not torch.allclose(state, tiny_model.base_model(input_ids=tokens).last_hidden_state[:, -1], atol=1e-2)
    assert not np.allclose(vectors, EchoEncoder(tiny_model).encode_documents(["fox"]), atol=1e-2)


@pytest.mark.model
def test_a_real_model_generates_what_transformers_generates(smollm: LanguageModel) -> None:
    prompt = smollm.tokenizer.encode("The capital of France is")
    assert "".join(generate(smollm, prompt, max_tokens=4)) == smollm.tokenizer.decode(
        greedy(smollm, prompt, max_tokens=4)
    )


@pytest.mark.parametrize("max_tokens", [0, 1, 5])
def test_at_most_max_tokens_are_generated(tiny_model: LanguageModel, max_tokens: int) -> None:
    prompt = tiny_model.tokenizer.encode("The quick brown")
    with recorded_passes() as passes:
        list(generate(tiny_model, prompt, max_tokens=max_tokens))
    assert len(passes) == max_tokens


def test_pieces_are_streamed(tiny_model: LanguageModel) -> None:
    with recorded_passes() as passes:
        next(generate(tiny_model, tiny_model.tokenizer.encode("The quick brown"), max_tokens=50))
    assert len(passes) < 10


def test_a_stop_string_across_pieces_ends_the_text_and_is_not_part_of_it(tiny_model: LanguageModel) -> None:
    prompt = tiny_model.tokenizer.encode("Pack my box")
    pieces = list(generate(tiny_model, prompt, max_tokens=16))
    text = "".join(pieces)
    tried = 0
    for number in range(2, len(pieces) - 1):
        mark = pieces[number - 1][-1:] + pieces[number] + pieces[number + 1][:1]
        written = "".join(generate(tiny_model, prompt, max_tokens=16, stop=["never said", mark]))
        assert written == text[: text.index(mark)]
        tried += len(mark) > 2
    assert tried


def test_the_earliest_of_several_stop_strings_counts(tmp_path: Path, tiny_model: LanguageModel) -> None:
    letters = [tiny_model.tokenizer.encode(letter)[0] for letter in "abcdef"]
    model = scripted(tmp_path, cycle(tiny_model, letters))
    for stop, expected in (
        (["ef", "cd"], "b"),
        (["f", "def"], "bc"),
        (["bc"], ""),
        (["cdx", "e"], "bcd"),
        (["xyz"], "bcdef"),
    ):
        assert "".join(generate(model, letters[:1], max_tokens=5, stop=stop)) == expected


def test_an_incomplete_stop_string_is_part_of_the_text(tmp_path: Path, tiny_model: LanguageModel) -> None:
    letters = [tiny_model.tokenizer.encode(letter)[0] for letter in "abcd"]
    model = scripted(tmp_path, cycle(tiny_model, letters))
    assert "".join(generate(model, letters[:1], max_tokens=4, stop=["dab"])) == "bcda"


def test_a_generation_has_its_length_and_finish_reason(tmp_path: Path, tiny_model: LanguageModel) -> None:
    letters = [tiny_model.tokenizer.encode(letter)[0] for letter in "abcd"]
    model = scripted(tmp_path, cycle(tiny_model, [*letters, 1]))
    for settings, expected in (
        ({"max_tokens": 50}, ("bcd", 3, "stop")),
        ({"max_tokens": 2}, ("bc", 2, "length")),
        ({"max_tokens": 50, "stop": ["c"]}, ("b", 2, "stop")),
    ):
        text = generate(model, letters[:1], **settings)  # type: ignore[arg-type]
        assert text.finish_reason is None
        assert ("".join(text), text.tokens, text.finish_reason) == expected


def test_the_seed_determines_the_tokens(tiny_model: LanguageModel) -> None:
    prompt = tiny_model.tokenizer.encode("The quick brown")

    def drawn(seed: int | None, *, temperature: float = 1.0) -> str:
        return "".join(generate(tiny_model, prompt, max_tokens=20, temperature=temperature, seed=seed))

    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)
    assert drawn(None) != drawn(None)
    assert drawn(7, temperature=1e-6) == drawn(None, temperature=0.0), "a tiny temperature takes the most likely token"


def test_tokens_are_drawn_with_the_probabilities_of_the_temperature(tiny_model: LanguageModel) -> None:
    prompt = tiny_model.tokenizer.encode("The quick brown")
    with torch.inference_mode():
        logits = tiny_model.causal_lm(input_ids=torch.tensor([prompt])).logits[0, -1]
    likely = torch.softmax(logits / 2.0, dim=-1)
    first = tiny_model.tokenizer.decode([int(likely.argmax())])
    drawn = ["".join(generate(tiny_model, prompt, max_tokens=1, temperature=2.0, seed=seed)) for seed in range(400)]
    expected = 400 * float(likely.max())
    assert abs(drawn.count(first) - expected) < 4 * expected**0.5


@pytest.mark.parametrize("settings", [{"temperature": -0.1}, {"stop": [""]}])
def test_invalid_settings_are_refused(tiny_model: LanguageModel, settings: dict[str, Any]) -> None:
    with pytest.raises(TextError):
        generate(tiny_model, [0], max_tokens=1, **settings)


def test_the_end_token_ends_the_text(tmp_path: Path, tiny_model: LanguageModel) -> None:
    letters = [tiny_model.tokenizer.encode(letter)[0] for letter in "abc"]
    model = scripted(tmp_path, cycle(tiny_model, [*letters, 1]))
    assert "".join(generate(model, letters[:1], max_tokens=50)) == "bc"


def test_any_end_token_of_the_generation_config_ends_the_text(tmp_path: Path, tiny_model: LanguageModel) -> None:
    letters = [tiny_model.tokenizer.encode(letter)[0] for letter in "abcd"]
    model = scripted(tmp_path, cycle(tiny_model, letters))
    (model.folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [399, letters[3]]}))
    assert "".join(generate(model, letters[:1], max_tokens=50)) == "bc"


def test_the_same_six_tokens_are_never_generated_twice(tmp_path: Path, tiny_model: LanguageModel) -> None:
    letters = [tiny_model.tokenizer.encode(letter)[0] for letter in "abcdef"]
    following = cycle(tiny_model, letters)  # without the rule against repeats, the cycle never ends
    following[0] = letters[0]  # the token that is taken instead leads back into the cycle
    model = scripted(tmp_path, following)
    written = tokens_written(model, letters[:1], count=60)
    assert tiny_model.tokenizer.decode(written).startswith("bcdefabcdef")
    runs = runs_of(written, length=_MIN_FORBIDDEN_REPEAT)
    assert len(runs) > 20
    assert len(set(runs)) == len(runs)


def test_the_prompt_may_be_repeated(tmp_path: Path, tiny_model: LanguageModel) -> None:
    letters = [tiny_model.tokenizer.encode(letter)[0] for letter in "abcdefghij"]
    model = scripted(tmp_path, cycle(tiny_model, letters))
    assert "".join(generate(model, letters, max_tokens=10)) == "abcdefghij"


def test_a_character_of_several_tokens_is_one_piece(tmp_path: Path, tiny_model: LanguageModel) -> None:
    fox = tiny_model.tokenizer.encode("🦊")
    assert len(fox) == 4
    model = scripted(tmp_path, cycle(tiny_model, [*tiny_model.tokenizer.encode("x"), *fox, 1]))
    assert list(generate(model, tiny_model.tokenizer.encode("x"), max_tokens=20)) == ["🦊"]


@pytest.mark.parametrize("temperature", [0.0, 0.5])
def test_a_bias_at_the_start_chooses_the_first_token_only(tiny_model: LanguageModel, temperature: float) -> None:
    prompt = tiny_model.tokenizer.encode("The quick brown")
    chosen = tiny_model.tokenizer.encode("wizards")[0]
    text = generate(tiny_model, prompt, max_tokens=8, temperature=temperature, seed=1, start_bias={chosen: 1000.0})
    rest = generate(tiny_model, [*prompt, chosen], max_tokens=7, temperature=0.0)
    written = "".join(text)
    assert written.startswith(tiny_model.tokenizer.decode([chosen]))
    if temperature == 0:
        assert written == tiny_model.tokenizer.decode([chosen]) + "".join(rest)
