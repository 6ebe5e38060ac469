"""Float32 parameters with a LoRA adapter beside them (arXiv 2106.09685): the base weights are shared, not copied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F

from echo_index.embeddings.decoder.layer import Layer
from echo_index.embeddings.decoder.linear import Linear
from echo_index.embeddings.decoder.lora_delta import Factors
from echo_index.embeddings.decoder.parameters import Parameters


class LoraLinear(Linear):
    """A float32 linear layer plus the product of two low-rank factors, `down` (rank, in) and `up` (out, rank)."""

    def __init__(self, base: Linear, down: torch.Tensor, up: torch.Tensor) -> None:
        self._base, self._down, self._up = base, down, up

    @staticmethod
    def prepare(rows: torch.Tensor) -> torch.Tensor:
        """Return the rows: float32 layers take them as they are."""
        return rows

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the sum of both products."""
        return self._base(rows).addmm_(F.linear(rows, self._down), self._up.T)


class LoraParameters(Parameters):
    """The float32 parameters `base` with low-rank changes by layer, counted from 0, and by matrix of `LayerWeights`."""

    def __init__(self, base: Parameters, factors: Mapping[int, Factors]) -> None:
        self.config, self.final_gain = base.config, base.final_gain
        self._base = base
        self._factors = factors
        self._layers: dict[int, Layer] = {}

    def layer(self, number: int) -> Layer:
        """Return a layer, which shares the matrices of the base."""
        if number not in self._layers:  # two threads may make the same one
            layer = self._base.layer(number)
            factors = self._factors.get(number, {})

            def with_delta(name: str, matrix: Linear) -> Linear:
                return LoraLinear(matrix, *factors[name]) if name in factors else matrix

            self._layers[number] = replace(
                layer,
                queries_keys_values=with_delta("queries_keys_values", layer.queries_keys_values),
                attention_out=with_delta("attention_out", layer.attention_out),
                gate=with_delta("gate", layer.gate),
                up=with_delta("up", layer.up),
                down=with_delta("down", layer.down),
            )
        return self._layers[number]

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Return rows of the embedding table of the base."""
        return self._base.embed(ids)

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """Return the logits by the head of the base."""
        return self._base.logits(states)

    def argmax_token(self, state: torch.Tensor, *, exclude: Sequence[int]) -> int:
        """Return the most likely token by the head of the base."""
        return self._base.argmax_token(state, exclude=exclude)
