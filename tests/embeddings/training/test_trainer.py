"""Tuning: equal to transformers and peft, the same gradients in any memory, and runs that continue."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_models import ARCHITECTURES, save_model
from word_pairs import word_pairs

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.linear_head import LinearHead
from echo_index.embeddings.models.lora import trained_dimensions
from echo_index.embeddings.models.model_loading import load_model
from echo_index.embeddings.text.echo_prompt import EchoPrompt
from echo_index.embeddings.training import memory_budget as memory_module
from echo_index.embeddings.training import trainable_encoder as trainable_module
from echo_index.embeddings.training import trainer as trainer_module
from echo_index.embeddings.training import training_loop as loop_module
from echo_index.embeddings.training.batch_sampler import training_batches
from echo_index.embeddings.training.distributed import ProcessGroup
from echo_index.embeddings.training.gradient_cache import cached_backward
from echo_index.embeddings.training.hard_groups import hard_groups
from echo_index.embeddings.training.loss import ContrastiveBatch, contrastive_loss
from echo_index.embeddings.training.memory_budget import token_budget
from echo_index.embeddings.training.pairs import TrainingPair, false_negative_mask, split_held_out
from echo_index.embeddings.training.step_log import TUNING_LOG, TuningStep
from echo_index.embeddings.training.trainable_encoder import TrainableEncoder
from echo_index.embeddings.training.trainer import TuningOptions, tune
from echo_index.errors import ModelError, PromptError, TextError

TEXTS = ["The quick brown fox", "wizards judge", "my vow and my box of jugs", "a", "Monday's report before the meeting"]
SHORT = TuningOptions(
    steps=12, batch=8, learning_rate=5e-3, warmup_steps=2, held_out=10, evaluate_every=4, rank=4, alpha=8, patience=9
)


@pytest.fixture(autouse=True)
def in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute in float32 on every processor, so that numbers can be compared."""
    monkeypatch.setattr(trainable_module, "bfloat16_is_fast", lambda: False)


@pytest.fixture
def encoder(tiny_model: LanguageModel) -> EchoEncoder:
    return EchoEncoder(tiny_model, layer="echo:4+0.5*text:2")


def randomized(trainable: TrainableEncoder) -> TrainableEncoder:
    """Set the LoRA parameters to random values, as a new adapter is zero."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in trainable.parameters:
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    trainable.on_step()
    return trainable


def gradients(trainable: TrainableEncoder) -> list[torch.Tensor]:
    """Return the gradients, and clear them."""
    found = []
    for parameter in trainable.parameters:
        assert parameter.grad is not None
        found.append(parameter.grad.clone())
        parameter.grad = None
    return found


# The model


def test_a_new_adapter_changes_nothing(any_model: LanguageModel) -> None:
    encoder = EchoEncoder(any_model, layer="echo:3+0.5*text:2")
    trainable = TrainableEncoder(encoder, 4, 8.0)
    vectors = trainable.embed(encoder.query_tokens(TEXTS)).detach().numpy()
    assert np.allclose(vectors, encoder.encode_queries(TEXTS), atol=1e-5)


@pytest.mark.parametrize("name", ["llama, biases", "mistral", "qwen2", "qwen3", "gemma2", "gemma3"])
@pytest.mark.parametrize("layer", ["4", "echo:3+0.5*text:2"])
def test_vectors_and_gradients_equal_transformers_and_peft(name: str, layer: str, tmp_path: Path) -> None:
    model = load_model(str(save_model(tmp_path / "model", ARCHITECTURES[name]())), device="cpu")
    encoder = EchoEncoder(model, layer=layer)
    sequences = encoder.document_tokens(TEXTS)
    native = randomized(TrainableEncoder(encoder, 4, 8.0, first_layer=2))
    reference = randomized(TrainableEncoder(encoder, 4, 8.0, first_layer=2))
    assert native._decoder is not None
    reference._decoder = None
    reference._fallback = trainable_module.TransformersBackend(
        reference._adapted.get_base_model().base_model, device="cpu"
    )
    wanted = torch.randn(len(TEXTS), model.dimension, generator=torch.Generator().manual_seed(1))
    vectors = []
    for trainable in (native, reference):
        vectors.append(trainable.embed(sequences))
        (vectors[-1] * wanted).sum().backward()
    assert torch.allclose(*vectors, atol=1e-5)
    for one, other in zip(gradients(native), gradients(reference), strict=True):
        assert one.abs().max() > 0
        assert torch.allclose(one, other, atol=1e-5, rtol=1e-3)


def test_a_saved_adapter_gives_the_trained_vectors(encoder: EchoEncoder, tmp_path: Path) -> None:
    trainable = randomized(TrainableEncoder(encoder, 4, 8.0))
    trainable.save(tmp_path)
    again = EchoEncoder(load_model(encoder.model.name, adapter=tmp_path, device="cpu"))
    vectors = trainable.embed(encoder.document_tokens(TEXTS)).detach().numpy()
    assert np.allclose(vectors, again.encode_documents(TEXTS), atol=1e-5)
    assert not np.allclose(vectors, encoder.encode_documents(TEXTS), atol=1e-2)
    assert again.layer == encoder.layer


def test_an_adapter_is_saved_with_its_prompts(tiny_model: LanguageModel, tmp_path: Path) -> None:
    document, query = EchoPrompt("Say {text} again: {echo}"), EchoPrompt("{instruction} {text} again: {echo}")
    encoder = EchoEncoder(
        tiny_model, document_prompt=document, query_prompt=query, instruction="Find it.", pooling="last", layer=3
    )
    TrainableEncoder(encoder, 2, 4.0).save(tmp_path)
    again = EchoEncoder(load_model(str(tmp_path), device="cpu"))
    names = ("document_prompt", "query_prompt", "instruction", "pooling", "layer")
    assert [again.config()[name] for name in names] == [encoder.config()[name] for name in names]
    assert trained_dimensions(tmp_path) == ()
    TrainableEncoder(encoder, 2, 4.0).save(tmp_path, dimensions=(16, 8))
    assert trained_dimensions(tmp_path) == (16, 8)
    assert EchoEncoder(load_model(str(tmp_path), device="cpu")).fingerprint == again.fingerprint
    (tmp_path / "echo_embeddings.json").write_text('{"pooling": "most"}', encoding="utf-8")
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(str(tmp_path), device="cpu")


def test_an_adapter_can_be_trained_further(any_model: LanguageModel, tmp_path: Path) -> None:
    before = randomized(TrainableEncoder(EchoEncoder(any_model, layer=3), 4, 8.0, first_layer=2))
    before.save(tmp_path)
    encoder = EchoEncoder(load_model(any_model.name, adapter=tmp_path, device="cpu"))
    further = TrainableEncoder(encoder, 2, 2.0)
    vectors = further.embed(encoder.document_tokens(TEXTS))
    assert np.allclose(vectors.detach().numpy(), encoder.encode_documents(TEXTS), atol=1e-5)
    assert [one.shape for one in further.parameters] == [one.shape for one in before.parameters]
    (vectors * torch.randn(vectors.shape, generator=torch.Generator().manual_seed(1))).sum().backward()
    with torch.no_grad():
        for parameter, gradient in zip(further.parameters, gradients(further), strict=True):
            parameter += 0.2 * gradient / gradient.abs().max().clamp(min=1e-6)
    further.on_step()
    further.save(tmp_path / "further")
    again = EchoEncoder(load_model(any_model.name, adapter=tmp_path / "further", device="cpu"))
    moved = further.embed(encoder.document_tokens(TEXTS)).detach().numpy()
    assert np.allclose(moved, again.encode_documents(TEXTS), atol=1e-4)
    assert not np.allclose(moved, vectors.detach().numpy(), atol=1e-2)


def test_deltas_of_unused_layers_do_not_change(encoder: EchoEncoder, tmp_path: Path) -> None:
    randomized(TrainableEncoder(encoder, 4, 8.0)).save(tmp_path)
    less = EchoEncoder(load_model(str(tmp_path), device="cpu"), layer=2)
    assert len(TrainableEncoder(less, 4, 8.0).parameters) == 2 * 7 * 2  # layers, matrices, factors
    [*tune(less, word_pairs(), tmp_path / "further", options=replace(SHORT, steps=2))]
    before, after = (load_file(folder / "adapter_model.safetensors") for folder in (tmp_path, tmp_path / "further"))
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if ".layers.0." in name or ".layers.1." in name}


def test_an_adapter_with_a_head_cannot_be_trained_further(encoder: EchoEncoder, tmp_path: Path) -> None:
    TrainableEncoder(encoder, 4, 8.0).save(tmp_path)
    np_head = np.stack([np.eye(encoder.dimension, dtype=np.float32)] * 2)
    LinearHead(np_head).save(tmp_path)
    with pytest.raises(ModelError, match="has more than low-rank matrices"):
        TrainableEncoder(EchoEncoder(load_model(str(tmp_path), device="cpu")), 4, 8.0)


def test_an_unused_layer_cannot_be_tuned(encoder: EchoEncoder) -> None:
    with pytest.raises(ModelError, match="No layer from 5 on can be tuned: the encoder uses layers 1 to 4"):
        TrainableEncoder(encoder, 4, 8.0, first_layer=5)


# A step


@pytest.mark.parametrize("sizes", [{"cpu": 64}, {"cpu": 1000}])
def test_cached_gradients_equal_those_of_the_whole_batch(
    encoder: EchoEncoder, sizes: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainable_module, "_PASS_TOKENS", sizes)
    trainable = randomized(TrainableEncoder(encoder, 4, 8.0))
    sequences = [*encoder.query_tokens(TEXTS), *encoder.document_tokens(TEXTS[::-1])]

    def loss(vectors: torch.Tensor) -> torch.Tensor:
        compared = ContrastiveBatch(vectors[:5], vectors[5:], torch.zeros(5, 5, dtype=torch.bool))
        return contrastive_loss(compared, temperature=0.1)

    whole = cached_backward(trainable, sequences, loss, most_tokens=10**6, processes=ProcessGroup(device="cpu"))
    at_once = gradients(trainable)
    cached = cached_backward(trainable, sequences, loss, most_tokens=1, processes=ProcessGroup(device="cpu"))
    assert cached == pytest.approx(whole, abs=1e-6)
    for one, other in zip(at_once, gradients(trainable), strict=True):
        assert one.abs().max() > 1e-4
        assert torch.allclose(one, other, atol=1e-5)


def test_the_token_budget_is_half_of_the_memory(encoder: EchoEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    def budget(*, first_layer: int, memory: int = 10**9) -> int:
        monkeypatch.setattr(memory_module, "_memory_bytes", lambda device: memory)
        return token_budget(TrainableEncoder(encoder, 4, 8.0, first_layer), sequences)

    sequences = encoder.document_tokens(TEXTS)
    every = budget(first_layer=1)
    assert budget(first_layer=1, memory=3 * 10**9) == pytest.approx(3 * every, rel=0.01)
    assert budget(first_layer=4) > 2 * every  # no activations are stored for the layers below
    numbers_per_token = 0.5 * 10**9 / every / 4  # numbers for each token
    config = encoder.model.decoder_config
    assert config is not None
    assert (
        encoder.deepest_layer * config.hidden_size
        < numbers_per_token
        < 100 * encoder.deepest_layer * config.hidden_size
    )


def test_the_token_budget_does_not_change_losses(
    encoder: EchoEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def losses(name: str, memory: int) -> list[float | None]:
        monkeypatch.setattr(memory_module, "_memory_bytes", lambda device: memory)
        return [step.loss for step in tune(encoder, word_pairs(), tmp_path / name, options=SHORT)]

    budgets: list[int] = []
    add = trainer_module.cached_backward

    def recorded(*args: Any, most_tokens: int, **options: Any) -> float:
        budgets.append(most_tokens)
        return add(*args, most_tokens=most_tokens, **options)

    monkeypatch.setattr(trainer_module, "cached_backward", recorded)
    little, much = losses("little", 10_000), losses("much", 10**12)
    assert little == pytest.approx(much, abs=1e-4)
    assert min(budgets) < 10
    assert max(budgets) > 10**5


def test_memory_is_released_after_each_step(
    encoder: EchoEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released: list[int] = []
    monkeypatch.setattr(loop_module, "release_freed_memory", lambda: released.append(1))
    steps = [step.number for step in tune(encoder, word_pairs(), tmp_path, options=SHORT)]
    assert len(released) == steps[-1] == SHORT.steps


# The loss


def test_the_loss_is_the_symmetric_cross_entropy() -> None:
    queries = torch.nn.functional.normalize(torch.randn(3, 8), dim=1)
    documents = torch.nn.functional.normalize(torch.randn(4, 8), dim=1)
    found = contrastive_loss(ContrastiveBatch(queries, documents, torch.zeros(3, 4, dtype=torch.bool)), temperature=0.5)
    scores = (queries @ documents.T / 0.5).double().numpy()
    rows = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    columns = np.exp(scores[:, :3]) / np.exp(scores[:, :3]).sum(axis=0, keepdims=True)
    expected = -(np.log(np.diagonal(rows)).mean() + np.log(np.diagonal(columns)).mean()) / 2
    assert float(found) == pytest.approx(expected, abs=1e-5)


def test_false_negatives_do_not_count() -> None:
    queries, documents = torch.eye(2, 6), torch.eye(2, 6)
    documents[1] = documents[0]
    seen = ContrastiveBatch(queries, documents, torch.zeros(2, 2, dtype=torch.bool))
    hidden = replace(seen, false_negative_mask=torch.tensor([[False, True], [True, False]]))
    assert float(contrastive_loss(seen, temperature=0.1)) > 1
    assert float(contrastive_loss(hidden, temperature=0.1)) == pytest.approx(0, abs=1e-4)


def test_the_distillation_loss_is_least_at_the_cosines_of_the_teacher() -> None:
    generator = torch.Generator().manual_seed(2)
    queries, documents, other = (
        torch.nn.functional.normalize(torch.randn(4, 8, generator=generator), dim=1) for _ in range(3)
    )
    compared = ContrastiveBatch(queries, documents, torch.zeros(4, 4, dtype=torch.bool))

    def loss(teacher: torch.Tensor, share: float) -> float:
        return float(contrastive_loss(compared, temperature=0.2, teacher=teacher, distillation_weight=share))

    own = queries @ documents.T
    assert loss(own, 1.0) < loss(queries @ other.T, 1.0)
    plain = float(contrastive_loss(compared, temperature=0.2))
    assert loss(own, 0.0) == pytest.approx(plain)
    assert loss(own, 0.25) == pytest.approx(0.75 * plain + 0.25 * loss(own, 1.0))


def test_the_loss_includes_shorter_vectors() -> None:
    queries = torch.tensor([[1.0, 0, 1, 0], [1.0, 0, 0, 1]])  # they differ in their second half only
    compared = ContrastiveBatch(
        *([torch.nn.functional.normalize(queries, dim=1)] * 2), torch.zeros(2, 2, dtype=torch.bool)
    )
    whole = float(contrastive_loss(compared, temperature=0.1))
    half = float(np.log(2))
    assert float(contrastive_loss(compared, temperature=0.1, dimensions=[2])) == pytest.approx((whole + half) / 2)


def test_equal_documents_and_documents_of_equal_queries_are_false_negatives() -> None:
    pairs = [TrainingPair("a", "x"), TrainingPair("b", "y"), TrainingPair("a", "z"), TrainingPair("c", "y")]
    documents = ["x", "y", "z", "y", "x"]
    found = false_negative_mask(pairs, documents).int().tolist()
    assert found == [[0, 0, 1, 0, 1], [0, 0, 0, 1, 0], [1, 0, 0, 0, 1], [0, 1, 0, 0, 0]]


def test_translations_of_the_same_original_are_false_negatives() -> None:
    pairs = [
        TrainingPair("Fähre", "Um acht.", teacher_query="ferry", teacher_positive="At eight."),
        TrainingPair("bac", "Le matin.", teacher_query="ferry", teacher_positive="In the morning."),
        TrainingPair("when", "At eight."),
    ]
    found = false_negative_mask(pairs, [pair.positive for pair in pairs]).int().tolist()
    assert found == [[0, 1, 1], [1, 0, 1], [1, 0, 0]]


# Batches


def test_batches_are_of_one_source_and_cover_it() -> None:
    pairs = [
        *word_pairs(source="one", count=40),
        *word_pairs(source="two", count=90),
        *word_pairs(source="few", count=3),
    ]
    batches = [*islice(training_batches(pairs, size=8, seed=1), 400)]
    assert all(len({pairs[position].source for position in batch}) == 1 for batch in batches)
    assert {position for batch in batches for position in batch} == {*range(len(pairs))}
    counts = np.bincount([position for batch in batches for position in batch], minlength=len(pairs))
    assert counts[:40].max() - counts[:40].min() <= 16  # each pair as often as the others
    assert {len(batch) for batch in batches if pairs[batch[0]].source == "few"} == {3}
    assert [*islice(training_batches(pairs, size=8, seed=1), 50)] == batches[:50]
    assert [*islice(training_batches(pairs, size=8, seed=2), 50)] != batches[:50]


def test_hard_groups_share_rare_words_but_no_positive() -> None:
    texts = ["ruby gem", "ruby gem", "opal stone", "opal mine", "jade axe", "jade bead", "ruby ring", "plain"]
    pairs = [TrainingPair(f"question {number}", f"the {text}") for number, text in enumerate(texts)]
    for seed in range(5):
        groups = hard_groups(pairs, max_size=2, rng=random.Random(seed))
        assert sorted(position for group in groups for position in group) == [*range(len(pairs))]
        found = {frozenset(texts[position] for position in group) for group in groups}
        assert {frozenset({"opal stone", "opal mine"}), frozenset({"jade axe", "jade bead"})} < found
        assert frozenset({"ruby gem", "ruby ring"}) in found
        assert all(len(group) == len({pairs[position].positive for position in group}) for group in groups)
    assert sorted(map(len, hard_groups(pairs, max_size=1, rng=random.Random(0)))) == [1] * len(pairs)


def test_a_batch_consists_of_hard_groups() -> None:
    pairs = [TrainingPair(f"q{number}", f"topic{number // 4} text {number}", source="one") for number in range(256)]

    def neighbours(alike: int) -> float:
        batches = [*islice(training_batches(pairs, size=16, seed=3, group_size=alike), 64)]
        assert all(len(batch) == len({*batch}) == 16 for batch in batches)
        assert {position for batch in batches for position in batch} == {*range(256)}
        return float(np.mean([len({position // 4 for position in batch}) for batch in batches]))

    assert neighbours(1) > 12
    assert neighbours(4) < 6


def test_pairs_of_a_batch_have_similar_lengths() -> None:
    pairs = [TrainingPair("q", "x" * number, source="one") for number in range(1, 257)]
    for batch in islice(training_batches(pairs, size=8, seed=0), 64):
        lengths = [len(pairs[position].positive) for position in batch]
        assert max(lengths) - min(lengths) < 64


# A run


def reciprocal_rank(encoder: EchoEncoder, pairs: list[TrainingPair]) -> float:
    queries = encoder.encode_queries([pair.query for pair in pairs])
    cosines = queries @ encoder.encode_documents([pair.positive for pair in pairs]).T
    return 100 * float(np.mean([1 / (1 + sum(row > row[number])) for number, row in enumerate(cosines)]))


def steps(encoder: EchoEncoder, folder: Path, options: TuningOptions = SHORT) -> Iterator[TuningStep]:
    """Tune on pairs of two sources."""
    pairs = [*word_pairs(source="one"), *word_pairs(source="two", count=30)]
    yield from tune(encoder, pairs, folder, options=options)


def test_the_loss_falls_and_the_held_out_score_rises(encoder: EchoEncoder, tmp_path: Path) -> None:
    made = [*steps(encoder, tmp_path, replace(SHORT, steps=60, evaluate_every=10))]
    assert [step.number for step in made] == [*range(61)]
    losses = [step.loss for step in made if step.loss is not None]
    assert len(losses) == 60
    assert np.mean(losses[-10:]) < 0.6 * np.mean(losses[:10])
    scores = [step.held_out for step in made if step.held_out is not None]
    assert len(scores) == 7
    assert scores[-1] > scores[0] + 10
    held_out = [*word_pairs(source="one")[:5], *word_pairs(source="two", count=30)[:5]]
    assert scores[0] == pytest.approx(reciprocal_rank(encoder, held_out), abs=0.5)  # near ties
    pairs = word_pairs(source="three", count=60)[30:]
    tuned = EchoEncoder(load_model(str(tmp_path), device="cpu"))

    def right_first(by: EchoEncoder) -> float:
        cosines = (
            by.encode_queries([pair.query for pair in pairs]) @ by.encode_documents([pair.positive for pair in pairs]).T
        )
        return float((cosines.argmax(axis=1) == np.arange(len(pairs))).mean())

    assert right_first(tuned) > right_first(encoder) + 0.2


def test_an_interrupted_run_continues_with_the_same_steps(encoder: EchoEncoder, tmp_path: Path) -> None:
    whole = [*steps(encoder, tmp_path / "whole")]
    interrupted = steps(encoder, tmp_path / "parts")
    for number in range(12):
        assert next(interrupted).number == number
    interrupted.close()
    assert [step.number for step in steps(encoder, tmp_path / "parts")] == [
        11,
        12,
    ]  # the last checkpoint is that of step 10
    logs = [
        [json.loads(line) for line in (tmp_path / run / TUNING_LOG).read_text(encoding="utf-8").splitlines()]
        for run in ("whole", "parts")
    ]
    for log in logs:
        for line in log:
            del line["pairs_per_second"], line["tokens_per_second"]
    assert logs[0] == logs[1]
    assert len(logs[0]) == len(whole) == 13
    for name in ("adapter_model.safetensors", "checkpoint.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()
    assert [*steps(encoder, tmp_path / "whole")] == []


def test_a_checkpoint_of_another_run_is_refused(encoder: EchoEncoder, tmp_path: Path) -> None:
    [*islice(steps(encoder, tmp_path), 10)]
    with pytest.raises(ModelError, match="is of another run"):
        next(steps(encoder, tmp_path, replace(SHORT, learning_rate=1e-3)))
    (tmp_path / "checkpoint.safetensors").write_bytes(b"x")
    with pytest.raises(ModelError, match="cannot be read"):
        next(steps(encoder, tmp_path))


def test_a_checkpoint_of_version_0_1_is_of_the_same_run() -> None:
    pairs = [TrainingPair("q", "p", ("n",), "s", "i"), TrainingPair("q2", "p2")]
    encoder: Any = SimpleNamespace(fingerprint="abc")
    found = trainer_module._run_hash(encoder, pairs, [TrainingPair("h", "o")], TuningOptions(most_tokens=7))
    assert found == "71050aae2dd4c3a7b420f5388671b757d42cd39693a72761b20ecd27aa89b4ef"


def test_a_run_that_does_not_improve_ends_early(encoder: EchoEncoder, tmp_path: Path) -> None:
    still = replace(SHORT, learning_rate=0.0, patience=2, evaluate_every=2)
    assert [step.number for step in steps(encoder, tmp_path, still)] == [0, 1, 2, 3, 4]
    same = EchoEncoder(load_model(str(tmp_path), device="cpu"))  # the initial adapter was the best
    assert np.allclose(same.encode_queries(TEXTS), encoder.encode_queries(TEXTS), atol=1e-6)


def test_an_incomplete_line_of_the_log_is_removed(encoder: EchoEncoder, tmp_path: Path) -> None:
    [*steps(encoder, tmp_path)]
    log = tmp_path / TUNING_LOG
    whole = log.read_text(encoding="utf-8")
    log.write_text(whole + '{"number": 13, "sou', encoding="utf-8")
    assert [*steps(encoder, tmp_path)] == []
    assert log.read_text(encoding="utf-8") == whole


def test_a_teacher_gets_the_queries_and_documents_of_a_batch(encoder: EchoEncoder, tmp_path: Path) -> None:
    shapes: list[tuple[int, int]] = []

    def teacher(queries: list[str], documents: list[str]) -> np.ndarray:
        shapes.append((len(queries), len(documents)))
        return np.eye(len(queries), len(documents), dtype=np.float32)

    pairs = [replace(pair, negatives=("wrong", "quite wrong")) for pair in word_pairs()]
    [*tune(encoder, pairs, tmp_path, options=replace(SHORT, steps=2), teacher=teacher)]
    assert shapes == [(8, 24), (8, 24)]


def test_a_teacher_reads_the_originals_of_translated_pairs(encoder: EchoEncoder, tmp_path: Path) -> None:
    read: list[tuple[list[str], list[str]]] = []

    def teacher(queries: list[str], documents: list[str]) -> np.ndarray:
        read.append((queries, documents))
        return np.eye(len(queries), len(documents), dtype=np.float32)

    pairs = [
        TrainingPair("Fähre", "Um acht.", ("Um zwei.",), teacher_query="ferry", teacher_positive="At eight."),
        TrainingPair("train", "At nine.", ("At two.",)),
    ]
    [*tune(encoder, pairs, tmp_path, options=replace(SHORT, steps=1, batch=4, held_out=0), teacher=teacher)]
    [(queries, documents)] = read
    assert sorted(zip(queries, documents[:2], documents[2:], strict=True)) == [
        ("ferry", "At eight.", "Um zwei."),
        ("train", "At nine.", "At two."),
    ]


def test_other_originals_are_another_run(encoder: EchoEncoder, tmp_path: Path) -> None:
    [*tune(encoder, word_pairs(), tmp_path, options=SHORT)]
    changed = [replace(pair, teacher_query="an original") for pair in word_pairs()]
    with pytest.raises(ModelError, match="of another run"):
        [*tune(encoder, changed, tmp_path, options=SHORT)]


def test_the_instruction_of_a_pair_is_in_its_prompt(tiny_model: LanguageModel, tmp_path: Path) -> None:
    encoders = [
        EchoEncoder(tiny_model, layer=3, instruction=instruction) for instruction in ("Find it.", "Find the code.")
    ]
    pairs = {
        None: word_pairs(),
        "Find the code.": [replace(pair, instruction="Find the code.") for pair in word_pairs()],
        "half": [replace(pair, instruction=("Find the code.", None)[n % 2]) for n, pair in enumerate(word_pairs())],
    }
    runs = {
        (number, instruction): [*tune(encoder, same, tmp_path / f"{number}{instruction}", options=SHORT)]
        for number, encoder in enumerate(encoders)
        for instruction, same in pairs.items()
    }
    results = {run: [(step.loss, step.held_out) for step in made] for run, made in runs.items()}
    assert results[0, "Find the code."] == results[1, "Find the code."] == results[1, None] == results[1, "half"]
    assert len({str(results[run]) for run in [(0, None), (0, "half"), (1, None)]}) == 3


def test_an_instruction_without_a_slot_is_refused_before_training(tiny_model: LanguageModel, tmp_path: Path) -> None:
    prompt = EchoPrompt("{text} again: {echo}")
    encoder = EchoEncoder(tiny_model, document_prompt=prompt, query_prompt=prompt)
    pairs = [*word_pairs(), *(replace(pair, instruction="Find it.") for pair in word_pairs(source="two"))]
    with pytest.raises(PromptError, match=r"has no {instruction} slot"):
        next(tune(encoder, pairs, tmp_path / "out", options=SHORT))
    with pytest.raises(PromptError, match=r"has no {instruction} slot"):
        next(tune(encoder, pairs[:60], tmp_path / "out", options=SHORT, held_out=pairs[60:]))
    assert not (tmp_path / "out").exists()


def test_pairs_are_held_out_from_all_sources_and_not_trained_on() -> None:
    one, two = word_pairs(source="one", count=20), word_pairs(source="two", count=10)
    held_out, trained = split_held_out([*one, *two], 8)
    assert held_out == [*one[:4], *two[:2]], "at most a fifth"
    assert trained == [*one[4:], *two[4:]], "pairs of the other source with the same texts are excluded too"
    again = [replace(pair, source="elsewhere", negatives=("wrong",)) for pair in one[7:9]]
    held_out, trained = split_held_out(one, 8, given=again)
    assert held_out == again
    assert trained == [*one[:7], *one[9:]]


def test_given_held_out_pairs_are_ranked(encoder: EchoEncoder, tmp_path: Path) -> None:
    pairs = word_pairs()
    options = replace(SHORT, steps=2, evaluate_every=2)
    made = [*tune(encoder, pairs[:40], tmp_path / "a", options=options, held_out=pairs[40:])]
    assert made[0].held_out == pytest.approx(reciprocal_rank(encoder, pairs[40:]), abs=0.5)
    tuned = EchoEncoder(load_model(str(tmp_path / "a"), device="cpu"))
    assert made[-1].held_out == pytest.approx(reciprocal_rank(tuned, pairs[40:]), abs=0.5)
    with pytest.raises(ModelError, match="another run"):
        next(tune(encoder, pairs[:40], tmp_path / "a", options=options, held_out=pairs[50:]))
    with pytest.raises(ModelError, match="another run"):  # the same pairs, split elsewhere
        next(tune(encoder, pairs[:50], tmp_path / "a", options=options, held_out=pairs[50:]))


def test_too_few_pairs_are_refused(encoder: EchoEncoder, tmp_path: Path) -> None:
    with pytest.raises(TextError, match="1 of 1 pairs are left to train on; tuning needs at least 2"):
        next(tune(encoder, word_pairs(count=1), tmp_path))
