"""The size of each channel of a model's activations on sample texts, and the smoothing scales that follow from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from echo_index.embeddings.decoder.config import DecoderConfig
from echo_index.embeddings.decoder.decoder import Decoder
from echo_index.embeddings.decoder.linear import Linear, Precision, linear
from echo_index.embeddings.decoder.packing import Packing
from echo_index.embeddings.decoder.parameters import TensorParameters
from echo_index.embeddings.decoder.smoothquant import Smoothing
from echo_index.embeddings.decoder.weights import Projection, Tensors
from echo_index.embeddings.runtime.cache import get_or_make

_MIN_RATIO = 1e-4  # of the largest channel: without this, tiny channels would have scales without bounds


class ActivationObserver(Linear):
    """A matrix that records how large each channel of its input is, relative to the largest channel of each row."""

    def __init__(self, matrix: Linear, weight: torch.Tensor) -> None:
        self._matrix = matrix
        self._weight = weight
        self._squares = torch.zeros(weight.shape[1], dtype=torch.float64)

    def prepare(self, rows: torch.Tensor) -> Any:  # type: ignore[override]  # static there: nothing is recorded
        """Record the channels of `rows` (rows, in), and prepare them as the matrix does."""
        largest = torch.maximum(rows.amax(dim=1, keepdim=True), rows.amin(dim=1, keepdim=True).neg_())
        self._squares += (rows / largest.clamp_(min=1e-20)).square_().sum(dim=0, dtype=torch.float64)
        return self._matrix.prepare(rows)

    def __call__(self, rows: Any) -> torch.Tensor:
        """Multiply as the matrix does."""
        return self._matrix(rows)

    def scales(self, *others: ActivationObserver) -> torch.Tensor:
        """Return the scales of the channels (in,) for this matrix and others with the same input.

        The error of a quantized channel is the quantization step of its token times the weights it is multiplied by.
        The sum of these is least where the scale is sqrt(size of the channel / size of its weights).
        """
        weights = torch.cat([self._weight, *(other._weight for other in others)])
        ratio = _clamp_small(self._squares.sqrt().float()) / _clamp_small(weights.norm(dim=0))
        return _divide_by_geometric_mean(ratio.sqrt())


def measure_smoothing(tensors: Tensors, config: DecoderConfig, texts: Sequence[Sequence[int]]) -> list[Smoothing]:
    """Return the scales of each layer, measured on sample texts that are given as token ids."""
    observers: list[ActivationObserver] = []

    def observed(projection: Projection) -> Linear:
        observers.append(ActivationObserver(linear(projection, Precision.FP32), projection.weight))
        return observers[-1]

    Decoder(TensorParameters(tensors, config, observed)).forward(
        torch.tensor([token for text in texts for token in text]),
        Packing.of([len(text) for text in texts], prefix=0),
        prefix_cache=None,
        rows={config.depth: torch.arange(sum(map(len, texts)))},
    )
    per_layer = len(observers) // config.depth
    return [layer_smoothing(observers[per_layer * number :][:per_layer], config) for number in range(config.depth)]


def cached_smoothing(weights_hash: str, measure: Callable[[], list[Smoothing]]) -> list[Smoothing]:
    """Return the scales of each layer from the cache folder; where it has none, measure and store them."""
    return get_or_make(
        "smoothing", f"{weights_hash}.safetensors", read=_load_smoothing, make=measure, write=_save_smoothing
    )


def _load_smoothing(path: Path) -> list[Smoothing]:
    stored = load_file(path)
    return [
        Smoothing(**{name: stored[f"{number}.{name}"] for name in Smoothing.__dataclass_fields__})
        for number in range(len(stored) // len(Smoothing.__dataclass_fields__))
    ]


def _save_smoothing(path: Path, layers: Sequence[Smoothing]) -> None:
    tensors = {
        f"{number}.{name}": getattr(smoothing, name).contiguous()
        for number, smoothing in enumerate(layers)
        for name in Smoothing.__dataclass_fields__
    }
    save_file(tensors, path)


def layer_smoothing(observers: Sequence[ActivationObserver], config: DecoderConfig) -> Smoothing:
    """Return the scales of a layer from the observers of its matrices, in the order in which `Layer.of` builds them."""
    queries_keys_values, attention_out, gate, up, down = observers
    # Query heads that share a value head share its scale.
    by_head = attention_out.scales().view(config.key_value_heads, -1, config.head_dim)
    return Smoothing(
        queries_keys_values=queries_keys_values.scales(),
        attention_out=_divide_by_geometric_mean(by_head.log().mean(dim=1).exp()),
        feed_forward=gate.scales(up),
        down=down.scales(),
    )


def _clamp_small(sizes: torch.Tensor) -> torch.Tensor:
    return sizes.clamp(min=max(_MIN_RATIO * float(sizes.max()), 1e-20))


def _divide_by_geometric_mean(scales: torch.Tensor) -> torch.Tensor:
    return scales / scales.log().mean().exp()
