"""Parameters in int8 on disk: a model is quantized once, layer by layer, and then takes a quarter of the memory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock

import torch
from safetensors.torch import load_file, save_file

from echo_index.embeddings.decoder.activation_observer import ActivationObserver, layer_smoothing
from echo_index.embeddings.decoder.config import DecoderConfig
from echo_index.embeddings.decoder.decoder import Decoder
from echo_index.embeddings.decoder.int8_tensors import pack_layer, pack_matrix, unpack_layer, unpack_matrix
from echo_index.embeddings.decoder.layer import Layer
from echo_index.embeddings.decoder.linear import (
    Int8Linear,
    Int8Weights,
    Linear,
    Precision,
    int8_linear,
    linear,
    precise_int8_product,
)
from echo_index.embeddings.decoder.packing import Packing
from echo_index.embeddings.decoder.parameters import Parameters, TensorParameters
from echo_index.embeddings.decoder.weights import Projection, Tensors, head_weight, layer_weights

_TABLE_FILE = "embedding.safetensors"
_HEAD_FILE = "head.safetensors"
_LAYER_FILE = "layer-{:03}.safetensors"
_FINAL_GAIN = "final_gain"


class Int8Parameters(Parameters):
    """The parameters that `quantize_model` wrote to a folder.

    Only the rows of the embedding table that are used are read from disk. Logits are products with an int8 head.
    """

    def __init__(self, folder: Path, config: DecoderConfig) -> None:
        table = _load(folder / _TABLE_FILE)
        self.config = config
        self.final_gain = table.pop(_FINAL_GAIN)
        self._table = unpack_matrix("table", table)
        self._folder = folder
        self._layers: list[Layer] = []
        self._lock = Lock()

    def layer(self, number: int) -> Layer:
        """Return a layer; read it, and those below it, when it is first needed."""
        with self._lock:
            if not self._layers:
                self._head  # noqa: B018 - first, as it is in memory twice while it is copied
            while len(self._layers) <= number:
                self._layers.append(unpack_layer(_load(self._folder / _LAYER_FILE.format(len(self._layers)))))
            return self._layers[number]

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Return rows of the embedding table."""
        rows = self._table.values.index_select(0, ids).float()
        return rows.mul_(self._table.scales.index_select(0, ids)[:, None])

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """Return logits from an int8 head and states of 15 bits."""
        return precise_int8_product(self._head, states)

    def argmax_token(self, state: torch.Tensor, *, exclude: Sequence[int]) -> int:
        """Return the token with the largest logit."""
        logits = self.logits(state)[0]
        logits[list(exclude)] = -torch.inf
        return int(logits.argmax())

    @cached_property
    def _head(self) -> Int8Linear:
        is_tied = self.config.tied_embeddings
        stored = _load(self._folder / (_TABLE_FILE if is_tied else _HEAD_FILE))
        return int8_linear(unpack_matrix("table" if is_tied else "head", stored))


def is_quantized_model(folder: Path) -> bool:
    """Return whether `quantize_model` wrote a model to a folder."""
    return (folder / _TABLE_FILE).exists()


def quantize_model(tensors: Tensors, config: DecoderConfig, texts: Sequence[Sequence[int]], folder: Path) -> None:
    """Write the parameters of a model in int8 to a folder.

    Each layer is smoothed (`smoothquant`) by its activations on sample texts, given as token ids: they run through the
    layer in float32 before it is quantized. Only one layer is in memory at a time.
    """
    table = _rows(tensors["embed_tokens.weight"])
    quantizer = _Quantizer(tensors, config, folder)
    packed = {**pack_matrix("table", Int8Weights.quantize(table)), _FINAL_GAIN: quantizer.final_gain}
    save_file(packed, folder / _TABLE_FILE)
    del table
    if not config.tied_embeddings:
        head = Int8Weights.quantize(_rows(head_weight(tensors, config)))
        save_file(pack_matrix("head", head), folder / _HEAD_FILE)
        del head
    ids = torch.tensor([token for text in texts for token in text])
    packing = Packing.of([len(text) for text in texts], prefix=0)
    Decoder(quantizer).forward(ids, packing, prefix_cache=None, rows={config.depth: torch.arange(len(ids))})
    quantizer.store_layer()


class _Quantizer(TensorParameters):
    """Parameters in float32 that store the layer before in int8 whenever the next one is asked for."""

    def __init__(self, tensors: Tensors, config: DecoderConfig, folder: Path) -> None:
        super().__init__(tensors, config, self._observed)
        self._folder = folder
        self._number = -1
        self._observers: list[ActivationObserver] = []

    def layer(self, number: int) -> Layer:
        """Return a layer that observes its activations; only this one is in memory."""
        if number != self._number:
            if self._number >= 0:
                self.store_layer()
            self._number = number
            self._observers.clear()
            self._weights = layer_weights(self._tensors, self.config, number)
            self._layer = Layer.of(self._weights, self._make_linear)
        return self._layer

    def store_layer(self) -> None:
        """Smooth and quantize the current layer, and write it to its file."""
        smoothed = layer_smoothing(self._observers, self.config).apply_to(self._weights)
        save_file(pack_layer(smoothed), self._folder / _LAYER_FILE.format(self._number))

    def _observed(self, projection: Projection) -> Linear:
        self._observers.append(ActivationObserver(linear(projection, Precision.FP32), projection.weight))
        return self._observers[-1]


def _rows(tensor: torch.Tensor) -> Projection:
    return Projection(tensor.float(), None)


def _load(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a file: the matrices mapped into memory, which the kernels copy, and copies of all others.

    A single other one, kept for the life of the model, would keep the whole file in memory.
    """
    return {name: tensor if tensor.dtype is torch.int8 else tensor.clone() for name, tensor in load_file(path).items()}
