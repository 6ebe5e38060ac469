"""Matrices and layers in int8 as tensors by name, as they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch

from echo_index.embeddings.decoder.layer import Layer
from echo_index.embeddings.decoder.linear import Int8Weights, int8_linear
from echo_index.embeddings.decoder.weights import LayerWeights, Projection


def pack_matrix(name: str, weights: Int8Weights) -> dict[str, torch.Tensor]:
    """Return the parts of a matrix by names such as `gate.values`."""
    packed = {f"{name}.values": weights.values, f"{name}.scales": weights.scales}
    return packed if weights.bias is None else {**packed, f"{name}.bias": weights.bias}


def unpack_matrix(name: str, packed: Mapping[str, torch.Tensor]) -> Int8Weights:
    """Return the matrix whose parts `pack_matrix` named."""
    return Int8Weights(packed[f"{name}.values"], packed[f"{name}.scales"], packed.get(f"{name}.bias"))


def pack_layer(weights: LayerWeights) -> dict[str, torch.Tensor]:
    """Quantize the matrices of a layer; return their parts and the gains by the names of `LayerWeights`."""
    packed: dict[str, torch.Tensor] = {}
    for field in fields(weights):
        value: Projection | torch.Tensor | None = getattr(weights, field.name)
        if isinstance(value, Projection):
            packed |= pack_matrix(field.name, Int8Weights.quantize(value))
        elif value is not None:
            packed[field.name] = value.contiguous()
    return packed


def unpack_layer(packed: Mapping[str, torch.Tensor]) -> Layer:
    """Return the layer whose parts `pack_layer` named, in int8."""
    parts: dict[str, Any] = {
        field.name: int8_linear(unpack_matrix(field.name, packed))
        if f"{field.name}.values" in packed
        else packed.get(field.name)
        for field in fields(Layer)
    }
    return Layer(**parts)
