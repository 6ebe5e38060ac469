"""How large each channel of a model's activations is on a sample of texts, and the smoothing that this calls for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from echo_index.embeddings.decoder.config import DecoderConfig
from echo_index.embeddings.decoder.decoder import Decoder
from echo_index.embeddings.decoder.linear import Linear, Precision, linear
from echo_index.embeddings.decoder.packing import Packing
from echo_index.embeddings.decoder.smoothquant import Smoothing
from echo_index.embeddings.decoder.weights import Projection, Tensors
from echo_index.embeddings.runtime.cache import cache_folder, write_cached

_LEAST = 1e-4  # of the largest: what is smaller hardly counts, and would make scales without bounds


class ActivationObserver(Linear):
    """A matrix that notes how large each channel of its rows is, by the side of the largest channel of each row."""

    def __init__(self, matrix: Linear, weight: torch.Tensor) -> None:
        self._matrix = matrix
        self._weight = weight
        self._squares = torch.zeros(weight.shape[1], dtype=torch.float64)

    def prepare(self, rows: torch.Tensor) -> Any:  # type: ignore[override]  # which is static: it has nothing to note
        """Note, and prepare as the matrix does."""
        largest = torch.maximum(rows.amax(dim=1, keepdim=True), rows.amin(dim=1, keepdim=True).neg_())
        self._squares += (rows / largest.clamp_(min=1e-20)).square_().sum(dim=0, dtype=torch.float64)
        return self._matrix.prepare(rows)

    def __call__(self, rows: Any) -> torch.Tensor:
        """Multiply as the matrix does."""
        return self._matrix(rows)

    def scales(self, *others: ActivationObserver) -> torch.Tensor:
        """Return the scales of the channels (in,) for this matrix and others that are given the same rows.

        The rounding of a token's numbers errs by its step, times the weights it meets: that is least where the scale is
        the square root of the channel's size by that of its weights.
        """
        weights = torch.cat([self._weight, *(other._weight for other in others)])
        ratio = _bounded(self._squares.sqrt().float()) / _bounded(weights.norm(dim=0))
        return _about_one(ratio.sqrt())


def measure_smoothing(tensors: Tensors, config: DecoderConfig, texts: Sequence[Sequence[int]]) -> list[Smoothing]:
    """Return the scales of each layer, as they suit a sample of texts, given as token ids."""
    sizes: list[ActivationObserver] = []

    def watched(projection: Projection) -> Linear:
        sizes.append(ActivationObserver(linear(projection, Precision.FP32), projection.weight))
        return sizes[-1]

    Decoder(tensors, config, watched).forward(
        torch.tensor([token for text in texts for token in text]),
        Packing.of([len(text) for text in texts], prefix=0),
        before=None,
        rows={config.depth: torch.arange(sum(map(len, texts)))},
    )
    each = len(sizes) // config.depth
    return [_smoothing_of(sizes[each * number :][:each], config) for number in range(config.depth)]


def cached_smoothing(weights_hash: str, measure: Callable[[], list[Smoothing]]) -> list[Smoothing]:
    """Return the scales of each layer as the cache folder has them, else what `measure` finds; it is kept there."""
    path = cache_folder() / "smoothing" / f"{weights_hash}.safetensors"
    with suppress(OSError, SafetensorError, KeyError):  # not there, or damaged
        stored = load_file(path)
        return [
            Smoothing(**{name: stored[f"{number}.{name}"] for name in Smoothing.__dataclass_fields__})
            for number in range(len(stored) // len(Smoothing.__dataclass_fields__))
        ]
    measured = measure()
    tensors = {
        f"{number}.{name}": getattr(smoothing, name).contiguous()
        for number, smoothing in enumerate(measured)
        for name in Smoothing.__dataclass_fields__
    }
    with suppress(OSError):  # a cache that cannot be written: measured again next time
        write_cached(path, lambda file: save_file(tensors, file))
    return measured


def _smoothing_of(sizes: Sequence[ActivationObserver], config: DecoderConfig) -> Smoothing:
    queries_keys_values, attention_out, gate, up, down = sizes
    # Heads that share a value share its scale.
    by_head = attention_out.scales().view(config.key_value_heads, -1, config.head_dim)
    return Smoothing(
        queries_keys_values=queries_keys_values.scales(),
        attention_out=_about_one(by_head.log().mean(dim=1).exp()),
        feed_forward=gate.scales(up),
        down=down.scales(),
    )


def _bounded(sizes: torch.Tensor) -> torch.Tensor:
    return sizes.clamp(min=max(_LEAST * float(sizes.max()), 1e-20))


def _about_one(scales: torch.Tensor) -> torch.Tensor:
    return scales / scales.log().mean().exp()
