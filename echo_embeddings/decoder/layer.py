"""One layer of a decoder: its matrices in some precision, and the gains of its normalizations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from echo_index.embeddings.decoder.linear import Linear
from echo_index.embeddings.decoder.weights import LayerWeights, Projection

MakeLinear = Callable[[Projection], Linear]
"""Builds a matrix in the precision of a decoder."""


@dataclass(frozen=True, eq=False)
class Layer:
    """The matrices and gains of a layer, named as in `LayerWeights`."""

    before_attention: torch.Tensor
    queries_keys_values: Linear
    queries_keys_gain: torch.Tensor | None
    attention_out: Linear
    after_attention: torch.Tensor | None
    before_feed_forward: torch.Tensor
    gate: Linear
    up: Linear
    down: Linear
    after_feed_forward: torch.Tensor | None

    @classmethod
    def of(cls, weights: LayerWeights, make_linear: MakeLinear) -> Layer:
        """Build the matrices of a layer from its weights."""
        return cls(
            before_attention=weights.before_attention,
            queries_keys_values=make_linear(weights.queries_keys_values),
            queries_keys_gain=weights.queries_keys_gain,
            attention_out=make_linear(weights.attention_out),
            after_attention=weights.after_attention,
            before_feed_forward=weights.before_feed_forward,
            gate=make_linear(weights.gate),
            up=make_linear(weights.up),
            down=make_linear(weights.down),
            after_feed_forward=weights.after_feed_forward,
        )
