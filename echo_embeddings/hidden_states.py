"""Compute hidden states of token batches, up to the deepest layer that is needed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from threading import Lock

import torch

from echo_index.embeddings.decoder.decoder import Decoder
from echo_index.embeddings.decoder.kv_cache import KVCache
from echo_index.embeddings.decoder.linear import Precision
from echo_index.embeddings.decoder.packing import PackedBatch, SpansAt, split_by_request
from echo_index.embeddings.decoder.transformers_backend import TransformersBackend
from echo_index.embeddings.gpu.decoder_check import decoder_agrees, transformers_backend
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.runtime.executor import in_streams, prefetched, run_on_executor
from echo_index.embeddings.text.prompt_tokens import EchoTokens
from echo_index.embeddings.vectors.pooling import Pooling, pool
from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.errors import ModelError

_MAX_PREFIXES = 16
"""Maximum number of prompt prefixes with a KV cache: about one for each task instruction in use."""


class HiddenStateExtractor:
    """Computes the hidden states of token sequences at some layers of a model. Thread-safe.

    Layers are numbered as `hidden_states` in transformers: 1 is the output of the first layer; the output of the last
    layer is taken after the final normalization.

    Raises:
        ModelError: a layer does not exist, or the model cannot run in this precision on its device.
    """

    def __init__(self, model: LanguageModel, *, layers: Collection[int], precision: Precision = Precision.FP32) -> None:
        for layer in layers:
            if not 1 <= layer <= model.depth:
                raise ModelError(f"The model {model.name} has layers 1 to {model.depth}; there is no layer {layer}.")
        self._deepest = max(layers)
        self._prefixes: OrderedDict[tuple[int, ...], KVCache] = OrderedDict()
        self._prefix_lock = Lock()
        self._decoder: Decoder | None = None
        self._fallback: TransformersBackend | None = None
        self._on_cpu = model.device.name == "cpu"
        if precision is Precision.INT8 and not model.uses_native_decoder:
            raise ModelError(
                f"The model {model.name} cannot be run in int8 on {model.device.name}.",
                remedy="Use --precision fp32, or auto.",
            )
        if model.uses_native_decoder or (model.embeds_natively and decoder_agrees(model, precision)):
            self._decoder = model.decoder(precision)
        else:
            self._fallback = transformers_backend(model, precision)

    def span_states(self, batch: Sequence[EchoTokens], *wanted: SpansAt) -> list[torch.Tensor]:
        """Return for each of `wanted` the hidden states of its spans, concatenated: float32 (tokens, hidden)."""
        return run_on_executor(partial(self._span_states, batch, wanted))

    def pooled_batches(
        self, batches: Iterable[tuple[Sequence[EchoTokens], Sequence[SpansAt]]], pooling: Pooling
    ) -> Iterator[list[Vectors]]:
        """Yield for each batch the pooled states of each wanted layer: float32 (texts, hidden), unit rows.

        On a CPU, several batches run side by side, each on one core. The next ones run while the caller processes a
        result.
        """
        passes = (partial(self._pooled, batch, pooling, wanted) for batch, wanted in batches)
        return in_streams(passes) if self._decoder and self._on_cpu else prefetched(passes)

    def _pooled(self, batch: Sequence[EchoTokens], pooling: Pooling, wanted: Sequence[SpansAt]) -> list[Vectors]:
        return [
            pool(states, [end - start for start, end in spans], pooling).cpu().numpy()
            for states, (_, spans) in zip(self._span_states(batch, wanted), wanted, strict=True)
        ]

    @torch.inference_mode()
    def _span_states(self, batch: Sequence[EchoTokens], wanted: Sequence[SpansAt]) -> list[torch.Tensor]:
        """Run a batch; if the memory of a GPU is too small for it, run its halves."""
        with suppress(torch.OutOfMemoryError):
            return self._run(batch, wanted)
        if len(batch) == 1:
            raise ModelError(
                f"The memory of the GPU is too small for a text of {len(batch[0])} tokens.",
                remedy="Use shorter passages (--chunk-tokens), or --device cpu.",
            )
        torch.cuda.empty_cache()
        half = len(batch) // 2
        parts = [
            self._span_states(batch[part], [(layer, spans[part]) for layer, spans in wanted])
            for part in (slice(half), slice(half, None))
        ]
        return [torch.cat(states) for states in zip(*parts, strict=True)]

    def _run(self, batch: Sequence[EchoTokens], wanted: Sequence[SpansAt]) -> list[torch.Tensor]:
        if self._decoder is None:
            assert self._fallback is not None
            return self._fallback.span_states(batch, wanted)
        # A GPU reads a short prefix once more faster than it prepends its keys and values.
        packed = PackedBatch.of(batch, share_prefix=self._on_cpu)
        states = self._decoder.forward(
            packed.ids,
            packed.packing,
            prefix_cache=self._prefix_cache(self._decoder, packed.prefix) if packed.prefix else None,
            rows=packed.rows(wanted),
        )
        return split_by_request(states, wanted)

    def _prefix_cache(self, decoder: Decoder, prefix: tuple[int, ...]) -> KVCache:
        """Return the KV cache of a prompt prefix, which is computed once and shared by batches."""
        with self._prefix_lock:
            cache = self._prefixes.get(prefix)
            if cache is None:
                cache = KVCache()
                decoder.extend(cache, prefix, layer=self._deepest)
                self._prefixes[prefix] = cache  # only once it is complete: the pass may be interrupted
                if len(self._prefixes) > _MAX_PREFIXES:
                    self._prefixes.popitem(last=False)
            self._prefixes.move_to_end(prefix)
            return cache
