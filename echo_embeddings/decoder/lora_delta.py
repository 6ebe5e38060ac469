"""The low-rank changes that a LoRA adapter (arXiv 2106.09685) makes to the matrices of a decoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from echo_index.embeddings.decoder.config import DecoderConfig
from echo_index.embeddings.decoder.weights import Tensors, layer_weights

_MATRICES = {  # the matrices of `LayerWeights`, and those of transformers that each consists of, from top to bottom
    "queries_keys_values": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attention_out": ("self_attn.o_proj",),
    "gate": ("mlp.gate_proj",),
    "up": ("mlp.up_proj",),
    "down": ("mlp.down_proj",),
}
MATRICES = tuple(_MATRICES)
"""The names of the matrices of `LayerWeights`."""
Factors = Mapping[str, tuple[torch.Tensor, torch.Tensor]]
"""By matrix of `LayerWeights`: (rank, in) and (out, rank), whose product is added to it."""


@dataclass(frozen=True, eq=False)
class LoraDelta:
    """What a LoRA adapter adds to a matrix (out, in): `scale * up @ down`, `down` (rank, in) and `up` (out, rank)."""

    down: torch.Tensor
    up: torch.Tensor
    scale: float

    @property
    def shape(self) -> tuple[int, int]:
        """The shape (out, in) of the matrix."""
        return self.up.shape[0], self.down.shape[1]


def layer_factors(deltas: Mapping[str, LoraDelta], tensors: Tensors, config: DecoderConfig, number: int) -> Factors:
    """Return the deltas of layer `number` as factors of the matrices of `LayerWeights`, with rows in their order.

    `deltas` are by transformers' names within the layer, such as "self_attn.q_proj"; a matrix that `LayerWeights` joins
    of several may have a delta for some of them. `tensors` have the gains of the layer.
    """
    rows = {name: tensors[f"layers.{number}.{name}.weight"].shape[0] for names in _MATRICES.values() for name in names}
    ups = {
        name: tensor
        for name, tensor in tensors.items()
        if name.startswith(f"layers.{number}.") and "norm" in name.split(".")[-2]
    }
    downs: dict[str, torch.Tensor] = {}
    for matrix, names in _MATRICES.items():
        changed = [name for name in names if name in deltas]
        if changed:
            downs[matrix] = torch.cat([deltas[name].down.float() for name in changed])
        width, before = sum(len(deltas[name].down) for name in changed), 0
        for name in names:
            weight = f"layers.{number}.{name}.weight"
            if name in deltas:
                delta = deltas[name]
                rank = len(delta.down)
                ups[weight] = F.pad(delta.up.float() * delta.scale, (before, width - before - rank))
                before += rank
            else:
                ups[weight] = torch.zeros(rows[name], max(1, width))  # not empty, as heads are split below
    arranged = layer_weights(ups, config, number)
    return {matrix: (down, getattr(arranged, matrix).weight) for matrix, down in downs.items()}
