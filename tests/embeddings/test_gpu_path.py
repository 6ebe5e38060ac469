"""What is decided on the CPU about GPUs: tensors on one device, one kernel, the check, the memory, the batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import ARCHITECTURES, FALL_BACK, save_model
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from echo_index.embeddings import hidden_states
from echo_index.embeddings.decoder import precision_check
from echo_index.embeddings.decoder.decoder import Decoder
from echo_index.embeddings.decoder.linear import Precision, linear
from echo_index.embeddings.decoder.packing import PackedBatch, Packing
from echo_index.embeddings.decoder.parameters import TensorParameters
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.gpu import batch_budget, decoder_check
from echo_index.embeddings.gpu.batch_budget import batch_token_budget, bytes_per_token
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.model_loading import load_model
from echo_index.embeddings.runtime.devices import Device
from echo_index.errors import ModelError

OURS = [name for name in ARCHITECTURES if name not in FALL_BACK]
TEXTS = ["The quick brown fox jumps over the lazy dog.", "a", "seven wizards quietly judge my vow " * 9, "fox", "box"]


@pytest.fixture
def gpu_model(tiny_model: LanguageModel) -> LanguageModel:
    """Return a model that is said to be on a GPU; its tensors are on the CPU, where what a GPU does can be run."""
    return replace(tiny_model, device=Device("cuda", "a test"), _built={})


@pytest.fixture
def on_gpu(gpu_model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[LanguageModel]:
    """Let the decoder do what it does on a GPU."""
    monkeypatch.setattr(hidden_states, "decoder_agrees", lambda model, precision: True)
    monkeypatch.setattr(batch_budget.torch.cuda, "mem_get_info", lambda: (10**10, 10**10))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    made = TensorParameters.__init__

    def on_cpu(self: TensorParameters, *arguments: Any, **named: Any) -> None:
        made(self, *arguments, **{**named, "device": "cpu"})

    monkeypatch.setattr(TensorParameters, "__init__", on_cpu)
    attend_packed = Decoder._attend_packed
    calls: list[int] = []

    def as_on_gpu(self: Decoder, *arguments: Any) -> torch.Tensor:
        calls.append(1)
        device, self.device = self.device, torch.device("meta")  # anything but the CPU
        try:
            return attend_packed(self, *arguments)
        finally:
            self.device = device

    monkeypatch.setattr(Decoder, "_attend_packed", as_on_gpu)
    yield gpu_model
    assert calls


def test_the_vectors_are_those_of_the_cpu(on_gpu: LanguageModel, tiny_model: LanguageModel) -> None:
    for layer in (1, 4):
        found = EchoEncoder(on_gpu, layer=layer).encode_documents(TEXTS)
        expected = EchoEncoder(tiny_model, layer=layer).encode_documents(TEXTS)
        assert np.allclose(found, expected, atol=1e-5)


def test_bfloat16_is_close(on_gpu: LanguageModel, tiny_model: LanguageModel) -> None:
    found = EchoEncoder(on_gpu, precision="bf16").encode_documents(TEXTS)
    assert (found * EchoEncoder(tiny_model).encode_documents(TEXTS)).sum(axis=1).min() > 0.98
    assert on_gpu.decoder(Precision.BF16).attention_dtype is torch.bfloat16
    assert on_gpu.decoder(Precision.FP32).attention_dtype is torch.float32


def test_int8_is_for_processors_only(on_gpu: LanguageModel) -> None:
    with pytest.raises(ModelError, match="cannot be run in int8 on cuda"):
        EchoEncoder(on_gpu, precision="int8")
    EchoEncoder(on_gpu).encode_documents(TEXTS)


class OneDevice(TorchDispatchMode):
    """Fails if an operation has tensors on two devices, but for copies from one to the other."""

    def __torch_dispatch__(
        self, operation: Any, types: object, arguments: tuple[Any, ...] = (), named: dict[str, Any] | None = None
    ) -> Any:
        tensors = [tensor for tensor in tree_leaves((arguments, named)) if isinstance(tensor, torch.Tensor)]
        devices = {tensor.device.type for tensor in tensors if tensor.ndim}
        assert len(devices) <= 1 or "copy" in str(operation), f"{operation} has tensors on {devices}"
        return operation(*arguments, **(named or {}))


@pytest.mark.parametrize("architecture", OURS)
@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16])
def test_no_tensor_stays_on_another_device(architecture: str, precision: Precision, tmp_path: Path) -> None:
    """Tensors on the device "meta" have shapes only; an operation that mixes devices would fail on a GPU."""
    model = load_model(str(save_model(tmp_path, ARCHITECTURES[architecture]())))
    assert model.decoder_config is not None
    parameters = TensorParameters(
        model.weights(), model.decoder_config, partial(linear, precision=precision), device="meta"
    )
    decoder = Decoder(parameters, attention_dtype=torch.bfloat16 if precision is Precision.BF16 else torch.float32)
    for lengths in ([200, 5, 70], [3]):
        rows = {2: torch.tensor([0, 2]), model.depth: torch.tensor([1])}
        with OneDevice():
            states = decoder.forward(
                torch.arange(sum(lengths)), Packing.of(lengths, prefix=0), prefix_cache=None, rows=rows
            )
        found = {layer: (tuple(state.shape), state.device.type) for layer, state in states.items()}
        hidden = model.decoder_config.hidden_size
        assert found == {2: ((2, hidden), "meta"), model.depth: ((1, hidden), "meta")}


def test_a_batch_without_a_shared_prefix_has_all_of_each_prompt(tiny_model: LanguageModel) -> None:
    batch = EchoEncoder(tiny_model).document_tokens(TEXTS)
    shared, whole = PackedBatch.of(batch), PackedBatch.of(batch, share_prefix=False)
    assert len(shared.prefix) > 1 and whole.prefix == ()
    assert whole.ids.tolist() == [token for tokens in batch for token in tokens.ids]


class Limited:
    """A decoder whose memory has room for some tokens."""

    def __init__(self, decoder: Decoder, most: int) -> None:
        self.decoder, self.most = decoder, most
        self.sizes: list[int] = []

    def forward(self, ids: torch.Tensor, *rest: Any, **named: Any) -> dict[int, torch.Tensor]:
        if len(ids) > self.most:
            raise torch.OutOfMemoryError
        self.sizes.append(len(ids))
        return self.decoder.forward(ids, *rest, **named)


def test_a_batch_that_is_too_large_is_halved(on_gpu: LanguageModel) -> None:
    encoder = EchoEncoder(on_gpu, layer="echo:4+0.5*text:3")
    expected = encoder.encode_documents(TEXTS)
    decoder = encoder._extractor._decoder
    assert decoder is not None
    longest = max(map(len, encoder.document_tokens(TEXTS)))
    limited = Limited(decoder, longest)
    encoder._extractor._decoder = limited  # type: ignore[assignment]
    assert np.allclose(encoder.encode_documents(TEXTS), expected, atol=1e-5)
    assert len(limited.sizes) > 1

    encoder._extractor._decoder = Limited(decoder, longest - 1)  # type: ignore[assignment]
    message = f"The memory of the GPU is too small for a text of {longest} tokens"
    with pytest.raises(ModelError, match=message):
        encoder.encode_documents(TEXTS)


def test_batches_are_as_large_as_the_memory_allows(
    gpu_model: LanguageModel, tiny_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert gpu_model.decoder_config is not None
    per_token = bytes_per_token(gpu_model.decoder_config)
    for free, expected in ((20_000 * per_token, 8_000), (100 * per_token, 4096), (10**13, 131_072)):
        monkeypatch.setattr(batch_budget.torch.cuda, "mem_get_info", lambda free=free: (free, 10**13))
        assert batch_token_budget(gpu_model) == expected
    assert batch_token_budget(replace(gpu_model, decoder_config=None)) == 32_768
    assert batch_token_budget(tiny_model) == 1024


@pytest.mark.parametrize(
    ("fault", "agrees"), [(None, True), ("wrong", False), ("fails", False), ("no room for transformers", True)]
)
def test_the_decoder_is_compared_with_transformers_once(
    fault: str | None, agrees: bool, gpu_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: f"a GPU where it is {fault}")
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(
        decoder_check, "transformers_backend", lambda model, precision: compared(model, precision, fault=fault)
    )
    decoder = on_cpu_decoder(gpu_model)
    monkeypatch.setattr(LanguageModel, "decoder", lambda model, precision: Faulty(decoder, fault))
    calls: list[str] = []
    compare = decoder_check._compare
    monkeypatch.setattr(decoder_check, "_compare", lambda *given: calls.append("compared") or compare(*given))
    assert decoder_check.decoder_agrees(gpu_model, Precision.FP32) is agrees
    assert decoder_check.decoder_agrees(gpu_model, Precision.FP32) is agrees
    assert calls == ["compared"]


def on_cpu_decoder(model: LanguageModel) -> Decoder:
    assert model.decoder_config is not None
    return Decoder(TensorParameters(model.weights(), model.decoder_config, partial(linear, precision=Precision.FP32)))


def compared(model: LanguageModel, precision: Precision, *, fault: str | None) -> Any:
    if fault == "no room for transformers":
        raise torch.OutOfMemoryError
    return decoder_check.TransformersBackend(load_model(str(model.folder)).base_model, device="cpu")


class Faulty:
    """A decoder that does not see the first token of a text, or whose kernel fails."""

    def __init__(self, decoder: Decoder, fault: str | None) -> None:
        self.decoder, self.fault = decoder, fault

    def forward(self, ids: torch.Tensor, packing: Packing, **named: Any) -> dict[int, torch.Tensor]:
        if self.fault == "fails":
            raise RuntimeError("no kernel image is available for execution on the device")
        if self.fault == "wrong":
            packing = replace(packing, positions=packing.positions.flip(0))
        return self.decoder.forward(ids, packing, **named)


def test_a_decoder_that_does_not_agree_leaves_the_work_to_transformers(
    gpu_model: LanguageModel, tiny_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hidden_states, "decoder_agrees", lambda model, precision: False)
    backend = compared(gpu_model, Precision.FP32, fault=None)
    monkeypatch.setattr(hidden_states, "transformers_backend", lambda model, precision: backend)
    monkeypatch.setattr(batch_budget.torch.cuda, "mem_get_info", lambda: (10**10, 10**10))
    encoder = EchoEncoder(gpu_model)
    assert encoder._extractor._decoder is None
    expected = EchoEncoder(tiny_model).encode_documents(TEXTS)
    assert np.allclose(encoder.encode_documents(TEXTS), expected, atol=1e-4)


@pytest.mark.parametrize("supported", [True, False])
def test_bfloat16_is_tried_on_a_gpu_that_has_it(supported: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    assert precision_check.native_precisions("cuda") == ([Precision.BF16] if supported else [])


def test_rates_are_those_of_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    names: Sequence[str] = ["one GPU", "one GPU", "another GPU"]
    counted: list[str] = []
    for name in names:
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda name=name: name)
        precision_check.cached_seconds(
            "gpu-test", {Precision.FP32: lambda texts, name=name: counted.append(name)}, device="cuda"
        )
    assert counted.count("another GPU") == counted.count("one GPU") > 0
