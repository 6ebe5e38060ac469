"""Adapters that continue prompts: equal to transformers and peft, runs that continue, and the text they write."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from tiny_models import ARCHITECTURES, save_model

from echo_index.embeddings.decoder.kv_cache import KVCache
from echo_index.embeddings.decoder.prompt_cache import PromptTokens
from echo_index.embeddings.generation.text_generation import generate
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.lora import write_generation_settings
from echo_index.embeddings.models.model_loading import load_model, with_answer_adapter
from echo_index.embeddings.training import continuation_trainer as trainer_module
from echo_index.embeddings.training.continuation_trainer import (
    Continuation,
    ContinuationOptions,
    PromptGroup,
    TrainableWriter,
    tune_continuations,
)
from echo_index.embeddings.training.step_log import TUNING_LOG
from echo_index.errors import ModelError, TextError

QUESTIONS = {
    "Question: Who judges my vow? Answer:": " The wizards.",
    "Question: What jumps? Answer:": " A fox.",
    "Question: Where is the report? Answer:": " Not found.",
    "Question: What is packed? Answer:": " My box [2]",
}
FAST = ContinuationOptions(
    steps=60, batch=4, learning_rate=2e-2, warmup_steps=2, rank=8, alpha=16, held_out=0, evaluate_every=10
)


@pytest.fixture(autouse=True)
def in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute in float32 on every processor, so that numbers can be compared."""
    monkeypatch.setattr(trainer_module, "bfloat16_is_fast", lambda: False)


def continuations(model: LanguageModel) -> list[Continuation]:
    encode = model.tokenizer.encode
    bos = () if model.tokenizer.bos_id is None else (model.tokenizer.bos_id,)
    return [Continuation((*bos, *encode(prompt)), (*encode(text), *encode("\n"))) for prompt, text in QUESTIONS.items()]


def groups(model: LanguageModel) -> list[PromptGroup]:
    """Return three prompts that begin with the same words, and one alone."""
    *shared, alone = continuations(model)
    return [PromptGroup.of(shared), PromptGroup.of([alone])]


def randomized(writer: TrainableWriter) -> TrainableWriter:
    """Set the LoRA parameters to random values, as a new adapter is zero."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in writer.parameters:
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    writer.on_step()
    return writer


@pytest.mark.parametrize("name", ["llama, biases", "qwen2", "gemma2", "gemma3"])
def test_losses_and_gradients_equal_transformers_and_peft(name: str, tmp_path: Path) -> None:
    model = load_model(str(save_model(tmp_path / "model", ARCHITECTURES[name]())), device="cpu")
    batch = groups(model)
    assert batch[0].prefix
    native = randomized(TrainableWriter(model, rank=4, alpha=8, seed=0))
    reference = randomized(TrainableWriter(model, rank=4, alpha=8, seed=0))
    assert native._decoder is not None
    reference._decoder = None
    assert native.backward(batch) == pytest.approx(reference.backward(batch), abs=1e-5)
    for one, other in zip(native.parameters, reference.parameters, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert one.grad.abs().max() > 0
        assert torch.allclose(one.grad, other.grad, atol=1e-5, rtol=1e-3)
    assert native.score(batch) == pytest.approx(reference.score(batch), rel=1e-4)
    loss = native.backward(batch)
    assert native.score(batch) == pytest.approx(100 * math.exp(-loss), rel=1e-4)


def test_a_batch_in_several_passes_has_the_same_gradients(
    tiny_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = groups(tiny_model)
    whole, parts = (randomized(TrainableWriter(tiny_model, rank=4, alpha=8, seed=0)) for _ in range(2))
    loss = whole.backward(batch)
    monkeypatch.setitem(trainer_module._PASS_TOKENS, "cpu", 1)
    assert parts.backward(batch) == pytest.approx(loss, abs=1e-5)
    for one, other in zip(whole.parameters, parts.parameters, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.allclose(one.grad, other.grad, atol=1e-5)


@pytest.mark.parametrize("name", ["llama, biases", "qwen2", "gemma3"])
def test_what_was_learned_is_written(name: str, tmp_path: Path) -> None:
    model = load_model(str(save_model(tmp_path / "model", ARCHITECTURES[name]())), device="cpu")
    examples, folder = continuations(model), tmp_path / "adapter"
    before = "".join(generate(model, examples[0].prompt, max_tokens=12))
    losses = [step.loss for step in tune_continuations(model, groups(model), folder, options=FAST)]
    assert losses[0] is not None
    assert losses[-1] is not None
    assert losses[-1] < 0.3 < 3 < losses[0]
    answering = with_answer_adapter(model, folder)
    assert answering is not None
    for example, text in zip(examples, QUESTIONS.values(), strict=True):
        assert "".join(generate(answering, example.prompt, max_tokens=12, stop=["\n"])) == text
    assert "".join(generate(model, examples[0].prompt, max_tokens=12)) == before, "the model itself is as it was"
    logits = answering.causal_lm(input_ids=torch.tensor([examples[1].prompt])).logits[0, -1]
    assert model.tokenizer.encode(" A fox.")[0] == int(logits.argmax()), "transformers writes with the adapter, too"
    assert answering.causal_lm.get_input_embeddings().weight is model.causal_lm.get_input_embeddings().weight


def test_the_adapter_shares_the_weights_of_the_model(tiny_model: LanguageModel, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    [*_] = tune_continuations(tiny_model, groups(tiny_model), folder, options=replace(FAST, steps=2))
    answering = with_answer_adapter(tiny_model, folder)
    assert answering is not None
    assert answering is with_answer_adapter(tiny_model, folder), "it is loaded once"
    layer, base = answering.generation_decoder.parameters.layer(0), tiny_model.generation_decoder.parameters.layer(0)
    assert layer.gate._base is base.gate  # type: ignore[attr-defined]
    assert answering.weights_hash != tiny_model.weights_hash


def test_an_interrupted_training_continues_with_the_same_steps(tiny_model: LanguageModel, tmp_path: Path) -> None:
    examples = [PromptGroup.of([example]) for example in continuations(tiny_model)]
    options = replace(FAST, steps=23, batch=3, held_out=1, patience=99)
    whole = [*tune_continuations(tiny_model, examples, tmp_path / "whole", options=options)]
    first = tune_continuations(tiny_model, examples, tmp_path / "parts", options=options)
    for _ in range(13):
        next(first)
    first.close()
    rest = [*tune_continuations(tiny_model, examples, tmp_path / "parts", options=options)]
    assert [step.number for step in rest] == [*range(11, 24)], "after the last checkpoint"
    assert [step.loss for step in rest] == pytest.approx([step.loss for step in whole[10:]], abs=1e-4)
    assert len((tmp_path / "parts" / TUNING_LOG).read_text(encoding="utf-8").splitlines()) == 23
    assert not [*tune_continuations(tiny_model, examples, tmp_path / "parts", options=options)], "it is complete"


def test_held_out_prompts_are_not_trained_on(
    tiny_model: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, set[PromptGroup]] = {"backward": set(), "score": set()}
    for name, examples in seen.items():
        method = getattr(TrainableWriter, name)

        def recorded(
            writer: TrainableWriter,
            batch: list[PromptGroup],
            method: Callable[..., float] = method,
            examples: set[PromptGroup] = examples,
        ) -> float:
            examples.update(batch)
            return method(writer, batch)

        monkeypatch.setattr(TrainableWriter, name, recorded)
    tokens = range(1, 5)
    given = [
        PromptGroup.of([replace(example, text=(*example.text, token)) for example in continuations(tiny_model)])
        for token in tokens
    ]
    given.append(PromptGroup.of(continuations(tiny_model)[:1]))
    options = replace(FAST, steps=10, held_out=3)
    [*_] = tune_continuations(tiny_model, given, tmp_path / "adapter", options=options)
    assert (len(seen["backward"]), len(seen["score"])) == (4, 1)
    assert seen["backward"] | seen["score"] == {*given}


def test_a_model_and_its_adapter_do_not_share_what_they_have_read(tiny_model: LanguageModel, tmp_path: Path) -> None:
    [*_] = tune_continuations(tiny_model, groups(tiny_model), tmp_path / "adapter", options=FAST)
    prompt = continuations(tiny_model)[1].prompt
    in_parts = PromptTokens(prompt, (len(prompt) - 2,))
    for _ in range(2):
        answering = with_answer_adapter(tiny_model, tmp_path / "adapter")
        assert answering is not None
        "".join(generate(tiny_model, in_parts, max_tokens=4))  # its keys and values are kept for the next prompt
        assert "".join(generate(answering, in_parts, max_tokens=12, stop=["\n"])) == " A fox."
    assert answering.prompt_cache is not tiny_model.prompt_cache


def test_held_out_prompts_are_scored(tiny_model: LanguageModel, tmp_path: Path) -> None:
    examples = groups(tiny_model) * 5
    options = replace(FAST, steps=30, held_out=4)
    scores = [
        step.held_out
        for step in tune_continuations(tiny_model, examples, tmp_path / "adapter", options=options)
        if step.held_out is not None
    ]
    assert len(scores) == 3
    assert scores[0] < 50 < 60 < scores[-1] <= 100, "each held-out prompt is among those that are trained on"


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_examples_are_refused(tiny_model: LanguageModel, tmp_path: Path, count: int) -> None:
    examples = [PromptGroup.of([example]) for example in continuations(tiny_model)[:count]]
    with pytest.raises(TextError, match=f"There are {count} examples; training needs at least 2"):
        next(tune_continuations(tiny_model, examples, tmp_path / "adapter"))
    assert not (tmp_path / "adapter").exists()


def test_the_folder_of_a_model_is_not_written_to(tiny_model: LanguageModel, tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds a model or another adapter, which would be changed"):
        next(tune_continuations(tiny_model, groups(tiny_model), tiny_folder))


def test_an_adapter_for_embeddings_is_not_written_over(tiny_model: LanguageModel, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match="holds a model or another adapter, which would be changed"):
        next(tune_continuations(tiny_model, groups(tiny_model), tmp_path))


@pytest.mark.parametrize("targets", [["q_proj", "down_proj"], ["v_proj"], ["gate_proj", "o_proj"]])
def test_an_adapter_of_some_matrices_writes_as_in_transformers(targets: list[str], tmp_path: Path) -> None:
    model = load_model(str(save_model(tmp_path / "model", ARCHITECTURES["gemma3"]())), device="cpu")
    adapted = get_peft_model(copy.deepcopy(model.causal_lm), LoraConfig(r=3, lora_alpha=9, target_modules=targets))
    generator = torch.Generator().manual_seed(2)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            parameter.data = (0.3 * torch.randn(parameter.shape, generator=generator)).half().float()
    adapted.save_pretrained(tmp_path / "adapter", save_embedding_layers=False)
    weights = tmp_path / "adapter" / "adapter_model.safetensors"
    save_file({name: tensor.half() for name, tensor in load_file(weights).items()}, weights)
    write_generation_settings(tmp_path / "adapter")
    answering = with_answer_adapter(model, tmp_path / "adapter")
    assert answering is not None
    ids = [*continuations(model)[0].prompt]
    state = answering.generation_decoder.extend(KVCache(), ids, layer=model.depth)
    expected = adapted(input_ids=torch.tensor([ids])).logits[:, -1]
    assert torch.allclose(answering.generation_decoder.logits(state), expected, atol=1e-4)
    plain = model.generation_decoder.logits(model.generation_decoder.extend(KVCache(), ids, layer=model.depth))
    assert not torch.allclose(plain, expected, atol=1e-2)


def test_weights_in_int8_cannot_be_trained(tiny_model: LanguageModel, tmp_path: Path) -> None:
    quantized = replace(tiny_model, is_quantized=True)
    with pytest.raises(ModelError, match="is quantized, and cannot be trained"):
        next(tune_continuations(quantized, groups(tiny_model), tmp_path / "adapter"))


def test_only_adapters_for_answers_write_answers(tiny_model: LanguageModel, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    [*_] = tune_continuations(tiny_model, groups(tiny_model), folder, options=replace(FAST, steps=1))
    with pytest.raises(ModelError, match="needs a model in float32"):
        with_answer_adapter(replace(tiny_model, is_quantized=True), folder)
    settings = folder / "echo_generation.json"
    settings.write_text('{"prompt": "letters-7"}', encoding="utf-8")
    with pytest.raises(ModelError, match="is trained for the prompt 'letters-7', not 'numbered-passages-1'"):
        with_answer_adapter(tiny_model, folder)
    settings.write_text('{"prompt": "numbered-passages-1", "refusal_bias": "high"}', encoding="utf-8")
    with pytest.raises(ModelError, match=r"refusal_bias of the adapter .* is 'high'; it must be a number"):
        with_answer_adapter(tiny_model, folder)
    settings.unlink()
    with pytest.raises(ModelError, match="is not one for answers"):
        with_answer_adapter(tiny_model, folder)
    assert with_answer_adapter(tiny_model) is None, "none is bundled for it"
