"""Runs token batches through the layers that are needed and no further. Knows nothing of texts or prompts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial

import torch

from echo_index.embeddings.decoder.decoder import Decoder, KVCache
from echo_index.embeddings.decoder.linear import Precision
from echo_index.embeddings.decoder.packing import Packing, rows_of_spans
from echo_index.embeddings.decoder.transformers_backend import TransformersBackend
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.runtime.executor import prefetched, run_on_executor
from echo_index.embeddings.text.prompt_tokens import EchoTokens
from echo_index.embeddings.vectors.pooling import Pooling, pool
from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.errors import ModelError

Span = tuple[int, int]
SpansAt = tuple[int, Sequence[Span]]
"""A layer, and a span of each text of a batch that is wanted there."""

_PREFIXES = 16
"""Beginnings of prompts whose keys and values are kept: a prompt for each task that people choose from."""


class HiddenStateExtractor:
    """Hidden states for batches of token sequences, at some layers, and not computed any further. Thread-safe.

    Layers count as `hidden_states` does in transformers: 1 is the output of the first layer, the number of layers is
    the last, after the final normalization.

    Raises:
        ModelError: there is no such layer, or the model cannot be run in this precision here.
    """

    def __init__(self, model: LanguageModel, *, layers: Collection[int], precision: Precision = Precision.FP32) -> None:
        for layer in layers:
            if not 1 <= layer <= model.depth:
                raise ModelError(f"The model {model.name} has layers 1 to {model.depth}; there is no layer {layer}.")
        self._deepest = max(layers)
        self._prefixes: OrderedDict[tuple[int, ...], KVCache] = OrderedDict()
        self._decoder: Decoder | None = None
        self._fallback: TransformersBackend | None = None
        if model.uses_native_decoder:
            self._decoder = model.decoder(precision)
        elif precision is Precision.INT8:
            raise ModelError(
                f"The model {model.name} cannot be run in int8 on {model.device.name}.",
                remedy="Use --precision fp32, or auto.",
            )
        else:
            dtype = torch.float32 if precision is Precision.FP32 else torch.bfloat16
            self._fallback = TransformersBackend(model.base_model_in(dtype), device=model.device.name)

    def span_states(self, batch: Sequence[EchoTokens], *wanted: SpansAt) -> list[torch.Tensor]:
        """Return for each of `wanted` the states of its spans end to end: float32 (tokens, hidden)."""
        return run_on_executor(partial(self._span_states, batch, wanted))

    def pooled_batches(
        self, batches: Iterable[tuple[Sequence[EchoTokens], Sequence[SpansAt]]], pooling: Pooling
    ) -> Iterator[list[Vectors]]:
        """Yield for each batch, and each of the spans wanted of it, the pooled states: float32 (texts, hidden).

        Rows have unit length. The next batch runs while the caller is busy with the one before.
        """
        return prefetched(partial(self._pooled, batch, pooling, wanted) for batch, wanted in batches)

    def _pooled(self, batch: Sequence[EchoTokens], pooling: Pooling, wanted: Sequence[SpansAt]) -> list[Vectors]:
        return [
            pool(states, [end - start for start, end in spans], pooling).cpu().numpy()
            for states, (_, spans) in zip(self._span_states(batch, wanted), wanted, strict=True)
        ]

    @torch.inference_mode()
    def _span_states(self, batch: Sequence[EchoTokens], wanted: Sequence[SpansAt]) -> list[torch.Tensor]:
        spans_at = {layer: [spans for other, spans in wanted if other == layer] for layer, _ in wanted}
        if self._decoder is not None:
            found = self._packed(self._decoder, batch, spans_at)
        else:
            assert self._fallback is not None
            padded = self._fallback.padded_states([tokens.ids for tokens in batch], spans_at)
            found = {layer: _cut_out(padded[layer], spans) for layer, spans in spans_at.items()}
        parts = {
            layer: iter(states.split([sum(end - start for start, end in spans) for spans in spans_at[layer]]))
            for layer, states in found.items()
        }
        return [next(parts[layer]) for layer, _ in wanted]

    def _packed(
        self, decoder: Decoder, batch: Sequence[EchoTokens], spans_at: Mapping[int, Sequence[Sequence[Span]]]
    ) -> dict[int, torch.Tensor]:
        """Run a batch end to end, the part of the prompt that all of it begins with read once and remembered."""
        shared = batch[0].ids[: batch[0].fixed]
        if any(tokens.ids[: len(shared)] != shared for tokens in batch):
            shared = ()
        prefix = len(shared)
        lengths = [len(tokens) - prefix for tokens in batch]
        return decoder.forward(
            torch.tensor([token for tokens in batch for token in tokens.ids[prefix:]]),
            Packing.of(lengths, prefix=prefix),
            before=self._remembered(decoder, shared) if shared else None,
            rows={
                layer: torch.cat([rows_of_spans(lengths, spans, prefix=prefix) for spans in wanted])
                for layer, wanted in spans_at.items()
            },
        )

    def _remembered(self, decoder: Decoder, prefix: tuple[int, ...]) -> KVCache:
        cache = self._prefixes.get(prefix)
        if cache is None:
            cache = KVCache()
            decoder.extend(cache, prefix, layer=self._deepest)
            self._prefixes[prefix] = cache  # not before it is whole: the pass may be interrupted
            if len(self._prefixes) > _PREFIXES:
                self._prefixes.popitem(last=False)
        self._prefixes.move_to_end(prefix)
        return cache


def _cut_out(padded: torch.Tensor, wanted: Sequence[Sequence[Span]]) -> torch.Tensor:
    return torch.cat([padded[row, start:end].float() for spans in wanted for row, (start, end) in enumerate(spans)])
