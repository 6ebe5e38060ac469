"""Hidden states of any architecture and layer equal those of transformers; deeper layers are never run."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from passes import recorded_passes
from threads import run_together
from tiny_models import ARCHITECTURES, FALL_BACK, save_model

from echo_index.embeddings.decoder import parameters as parameters_module
from echo_index.embeddings.decoder.decoder import Decoder
from echo_index.embeddings.decoder.linear import Precision, linear
from echo_index.embeddings.decoder.parameters import TensorParameters
from echo_index.embeddings.decoder.transformers_backend import find_blocks
from echo_index.embeddings.decoder.weights import LayerWeights, layer_weights
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.generation.text_generation import generate
from echo_index.embeddings.hidden_states import HiddenStateExtractor
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.model_loading import load_model
from echo_index.embeddings.text.prompt_tokens import EchoTokens, PromptTokenizer
from echo_index.embeddings.vectors.pooling import Pooling, pool
from echo_index.errors import ModelError

TEXTS = ["The quick brown fox jumps over the lazy dog.", "a", "seven wizards quietly judge my vow " * 2]


def sequences(model: LanguageModel) -> list[EchoTokens]:
    return PromptTokenizer(model.tokenizer, max_tokens=99).assemble(model.profile.document, TEXTS)


@torch.inference_mode()
def states_of_transformers(model: LanguageModel, tokens: EchoTokens) -> tuple[torch.Tensor, ...]:
    output: Any = model.causal_lm(input_ids=torch.tensor([tokens.ids]), output_hidden_states=True, use_cache=False)
    states: tuple[torch.Tensor, ...] = output.hidden_states
    return states


def random_batch(lengths: list[int], *, shared: int, fixed: int) -> list[EchoTokens]:
    """Return texts of these lengths with `shared` equal tokens at the start, which claim to have `fixed` of them."""
    generator = torch.Generator().manual_seed(5)
    first = torch.randint(5, 300, (shared,), generator=generator).tolist()
    rest = [torch.randint(5, 300, (length - shared,), generator=generator).tolist() for length in lengths]
    return [
        EchoTokens(ids=(*first, *ids), start=fixed, end=shared + len(ids), first_copy=None, fixed=fixed) for ids in rest
    ]


@pytest.mark.parametrize(
    ("shared", "fixed"),
    [(10, 10), (70, 70), (0, 0), (5, 9)],
    ids=["prefix", "prefix of two blocks", "no prefix", "prefixes that differ"],
)
def test_every_layer_of_long_and_short_texts_equals_transformers(
    any_model: LanguageModel, shared: int, fixed: int
) -> None:
    batch = random_batch([shared + length for length in (64, 5, 63, 200, 65, 129, 128)], shared=shared, fixed=fixed)
    spans = [(tokens.start, tokens.end) for tokens in batch]
    expected = [states_of_transformers(any_model, tokens) for tokens in batch]
    for layer in (1, 2, 3, 4):
        [found] = HiddenStateExtractor(any_model, layers=[layer]).span_states(batch, (layer, spans))
        wanted = torch.cat([states[layer][0, start:end] for states, (start, end) in zip(expected, spans, strict=True)])
        assert found.dtype is torch.float32
        assert torch.nn.functional.cosine_similarity(found, wanted, dim=1).min() >= 0.99999
        assert torch.allclose(found.norm(dim=1), wanted.norm(dim=1), rtol=1e-3)


def test_known_architectures_run_on_the_native_decoder_and_others_on_transformers(
    any_model: LanguageModel, request: pytest.FixtureRequest
) -> None:
    ours = request.node.callspec.params["any_model"] not in FALL_BACK
    assert any_model.uses_native_decoder is ours
    with recorded_passes() as passes:
        EchoEncoder(any_model).encode_documents(TEXTS)
    assert bool(passes) is ours
    with recorded_passes() as passes:
        list(generate(any_model, [0, 40, 77], max_tokens=2))
    assert bool(passes) is ours


@pytest.mark.parametrize("layer", [1, 2, 3, 4])
@pytest.mark.parametrize("pooling", Pooling)
def test_a_layer_is_the_hidden_state_of_that_index_pooled(
    any_model: LanguageModel, layer: int, pooling: Pooling
) -> None:
    vectors = EchoEncoder(any_model, layer=layer, pooling=pooling).encode_documents(TEXTS)
    for tokens, vector in zip(sequences(any_model), vectors, strict=True):
        span = states_of_transformers(any_model, tokens)[layer][0, tokens.start : tokens.end]
        expected = span.mean(dim=0) if pooling is Pooling.MEAN else span[-1]
        assert np.allclose(vector, (expected / expected.norm()).numpy(), atol=1e-5)


def test_layers_differ_and_the_last_is_the_default(any_model: LanguageModel) -> None:
    vectors = [EchoEncoder(any_model, layer=layer).encode_documents(TEXTS[:1])[0] for layer in (1, 2, 3, 4)]
    default = EchoEncoder(any_model)
    assert default.layer == 4
    assert np.array_equal(default.encode_documents(TEXTS[:1])[0], vectors[3])
    for one, two in ((0, 1), (1, 2), (2, 3)):
        assert vectors[one] @ vectors[two] < 0.999


def test_batch_neighbours_do_not_change_the_states(any_model: LanguageModel) -> None:
    engine = HiddenStateExtractor(any_model, layers=[3])
    batch = sequences(any_model)
    spans = [(tokens.fixed, len(tokens)) for tokens in batch]
    [together] = engine.span_states(batch, (3, spans))
    alone = torch.cat([engine.span_states([tokens], (3, [span]))[0] for tokens, span in zip(batch, spans, strict=True)])
    assert torch.allclose(together, alone, atol=1e-4)


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize("layer", [1, 2, 3, 4])
def test_layers_above_the_deepest_one_are_never_run(
    architecture: str, layer: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(str(save_model(tmp_path, ARCHITECTURES[architecture]())), device="cpu")
    run: set[int] = set()
    through = Decoder._run_layer

    def noting(self: Decoder, number: int, *rest: Any) -> torch.Tensor:
        run.add(number)
        return through(self, number, *rest)

    monkeypatch.setattr(Decoder, "_run_layer", noting)
    hooks = [
        block.register_forward_pre_hook(lambda *_, number=number: run.add(number))
        for number, block in enumerate(find_blocks(model.base_model))
    ]
    try:
        EchoEncoder(model, layer=layer).encode_documents(TEXTS)
    finally:
        for hook in hooks:
            hook.remove()
    assert run == set(range(layer))


def test_a_prefix_whose_pass_was_interrupted_is_computed_again(
    tiny_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = EchoEncoder(tiny_model).encode_documents(TEXTS)
    encoder = EchoEncoder(tiny_model)
    through = Decoder._run_layer

    def interrupted(self: Decoder, number: int, *rest: Any) -> torch.Tensor:
        if number == 2:
            raise KeyboardInterrupt
        return through(self, number, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Decoder, "_run_layer", interrupted)
        with pytest.raises(KeyboardInterrupt):
            encoder.encode_documents(TEXTS)
    assert np.allclose(encoder.encode_documents(TEXTS), expected, atol=1e-6)


@pytest.mark.parametrize("layer", [-1, 5, 99])
def test_a_layer_that_does_not_exist_is_refused(tiny_model: LanguageModel, layer: int) -> None:
    with pytest.raises(ModelError, match=f"has layers 1 to 4; there is no layer {layer}"):
        EchoEncoder(tiny_model, layer=layer)


def test_encoders_of_one_model_at_different_layers_do_not_disturb_each_other(
    tiny_folder: Path, tiny_model: LanguageModel
) -> None:
    alone = {
        layer: EchoEncoder(load_model(str(tiny_folder), device="cpu"), layer=layer).encode_documents(TEXTS)
        for layer in (1, 2, 3, 4)
    }
    shared = {layer: EchoEncoder(tiny_model, layer=layer) for layer in (3, 1, 4, 2)}
    for layer in (1, 4, 2, 3, 4, 1):
        assert np.allclose(shared[layer].encode_documents(TEXTS), alone[layer], atol=1e-6)


def test_an_encoder_does_not_change_generation(tiny_folder: Path, tiny_model: LanguageModel) -> None:
    prompt = tiny_model.tokenizer.encode("The quick brown")
    untouched = "".join(generate(load_model(str(tiny_folder), device="cpu"), prompt, max_tokens=30))
    encoder = EchoEncoder(tiny_model, layer=2)
    pieces = []
    for piece in generate(tiny_model, prompt, max_tokens=30):
        pieces.append(piece)
        encoder.encode_documents(TEXTS[:1])
    assert "".join(pieces) == untouched != ""


def test_generation_and_encoders_in_parallel_threads_do_not_disturb_each_other(tiny_model: LanguageModel) -> None:
    prompt = tiny_model.tokenizer.encode("The quick brown")
    encoders = [EchoEncoder(tiny_model, layer=layer) for layer in (1, 2, 3, 4)]
    expected = [encoder.encode_documents(TEXTS) for encoder in encoders]
    text = "".join(generate(tiny_model, prompt, max_tokens=30))
    failures: list[str] = []
    start = threading.Barrier(6)

    def encode(number: int) -> None:
        start.wait()
        for _ in range(10):
            if not np.array_equal(encoders[number].encode_documents(TEXTS), expected[number]):
                failures.append(f"layer {number + 1}")

    def write() -> None:
        start.wait()
        for _ in range(2):
            if "".join(generate(tiny_model, prompt, max_tokens=30)) != text:
                failures.append("writer")

    run_together([*(partial(encode, number) for number in range(4)), *[write] * 2])
    assert failures == []


def test_the_pool_is_the_mean_or_the_last_of_the_span_at_length_one() -> None:
    states = torch.tensor([[3.0, 0.0], [0.0, 4.0], [0.0, 2.0]])
    mean = pool(states, [2, 1], Pooling.MEAN)
    assert torch.allclose(mean, torch.tensor([[0.6, 0.8], [0.0, 1.0]]))
    assert torch.allclose(pool(states, [2, 1], Pooling.LAST), torch.tensor([[0.0, 1.0], [0.0, 1.0]]))


def test_the_pool_of_half_precision_states_is_float32() -> None:
    for pooling in Pooling:
        assert pool(torch.ones(3, 4, dtype=torch.bfloat16), [2, 1], pooling).dtype is torch.float32


def test_batches_side_by_side_build_each_layer_and_the_prefix_once(
    tiny_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[int] = []

    def build(tensors: object, config: object, number: int) -> LayerWeights:
        built.append(number)
        time.sleep(0.02)  # so that others come in between
        return layer_weights(tiny_model._tensors, tiny_model.decoder(Precision.FP32).config, number)

    config = tiny_model.decoder(Precision.FP32).config
    parameters = TensorParameters(tiny_model._tensors, config, partial(linear, precision=Precision.FP32))
    monkeypatch.setattr(parameters_module, "layer_weights", build)
    with ThreadPoolExecutor(8) as threads:
        layers = list(threads.map(parameters.layer, [*range(config.depth)] * 4))
    assert built == [*range(config.depth)]
    assert layers == layers[: config.depth] * 4

    extractor = HiddenStateExtractor(tiny_model, layers=[2])
    extended: list[int] = []

    class SlowDecoder:
        def extend(self, cache: object, ids: object, *, layer: int) -> None:
            extended.append(layer)
            time.sleep(0.02)

    with ThreadPoolExecutor(8) as threads:
        caches = list(threads.map(lambda _: extractor._prefix_cache(SlowDecoder(), (1, 2)), range(8)))  # type: ignore[arg-type]
    assert extended == [2]
    assert all(cache is caches[0] for cache in caches)
