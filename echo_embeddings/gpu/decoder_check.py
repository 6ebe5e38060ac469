"""Check once on each GPU that the native decoder embeds as transformers does; if not, transformers is used."""

from __future__ import annotations

import json

import torch

from echo_index.embeddings.decoder.linear import Precision
from echo_index.embeddings.decoder.packing import PackedBatch, split_by_request
from echo_index.embeddings.decoder.precision_check import centered_cosines, sample_texts
from echo_index.embeddings.decoder.transformers_backend import TransformersBackend
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.runtime.cache import cache_key, get_or_make
from echo_index.embeddings.runtime.executor import run_on_executor
from echo_index.embeddings.text.prompt_tokens import EchoTokens, PromptTokenizer
from echo_index.embeddings.vectors.pooling import Pooling, pool
from echo_index.embeddings.vectors.vector_ops import Vectors

_FORMAT = 1
_TEXTS = 16
_MIN_COSINE = 0.95  # mean centered cosine: rounding to bfloat16 twice costs a few hundredths at most


def transformers_backend(model: LanguageModel, precision: Precision) -> TransformersBackend:
    """Return the base model of transformers that computes hidden states in a precision."""
    dtype = torch.float32 if precision is Precision.FP32 else torch.bfloat16
    return TransformersBackend(model.base_model_in(dtype), device=model.device.name)


def decoder_agrees(model: LanguageModel, precision: Precision) -> bool:
    """Return whether the native decoder gives the vectors of transformers on the device of the model.

    It is tried with sample texts, and the cache keeps the result for the model, the device and the version of torch. A
    kernel that fails counts as one that does not agree. A model that transformers has no room for is not compared.
    """
    name = cache_key(model.weights_hash, _device_name(model), torch.__version__, precision.value)
    return bool(
        get_or_make(
            "devices",
            f"{name}-{_FORMAT}.json",
            read=lambda path: json.loads(path.read_text(encoding="utf-8"))["agrees"],
            make=lambda: run_on_executor(lambda: _compare(model, precision)),
            write=lambda path, agrees: path.write_text(json.dumps({"agrees": agrees}), encoding="utf-8"),
        )
    )


@torch.inference_mode()
def _compare(model: LanguageModel, precision: Precision) -> bool:
    tokenizer = PromptTokenizer(model.tokenizer, max_tokens=model.profile.max_tokens)
    batch = tokenizer.assemble(model.profile.document, sample_texts()[:_TEXTS])
    try:
        found = _decoder_vectors(model, precision, batch)
    except (RuntimeError, NotImplementedError):
        return False
    try:
        expected = _pooled(transformers_backend(model, precision).span_states(batch, [_wanted(model, batch)]), batch)
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return True
    return float(centered_cosines(found, expected).mean()) >= _MIN_COSINE


def _decoder_vectors(model: LanguageModel, precision: Precision, batch: list[EchoTokens]) -> Vectors:
    packed = PackedBatch.of(batch, share_prefix=False)
    wanted = [_wanted(model, batch)]
    states = model.decoder(precision).forward(packed.ids, packed.packing, prefix_cache=None, rows=packed.rows(wanted))
    return _pooled(split_by_request(states, wanted), batch)


def _wanted(model: LanguageModel, batch: list[EchoTokens]) -> tuple[int, list[tuple[int, int]]]:
    return model.depth, [(tokens.start, tokens.end) for tokens in batch]


def _pooled(states: list[torch.Tensor], batch: list[EchoTokens]) -> Vectors:
    return pool(states[0], [tokens.end - tokens.start for tokens in batch], Pooling.MEAN).cpu().numpy()


def _device_name(model: LanguageModel) -> str:
    return torch.cuda.get_device_name() if model.device.name == "cuda" else model.device.name
