"""The parameters of a decoder: its embedding table, its layers and its language-model head, built when first needed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from threading import Lock

import torch

from echo_index.embeddings.decoder.config import DecoderConfig
from echo_index.embeddings.decoder.int8_layers import Arrays
from echo_index.embeddings.decoder.int8_search import Int8ExactSearch
from echo_index.embeddings.decoder.int8_tensors import unpack_layer
from echo_index.embeddings.decoder.layer import Layer, MakeLinear
from echo_index.embeddings.decoder.linear import Precision, linear
from echo_index.embeddings.decoder.smoothquant import Smoothing
from echo_index.embeddings.decoder.weights import Projection, Tensors, head_weight, layer_weights


class Parameters(ABC):
    """The parameters of a decoder. Layers may be asked for by several threads; logits by one at a time."""

    config: DecoderConfig
    final_gain: torch.Tensor
    """The gain of the normalization after the last layer (hidden,)."""

    @abstractmethod
    def layer(self, number: int) -> Layer:
        """Return layer `number`, counted from 0."""

    @abstractmethod
    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the rows of the embedding table for token ids (tokens,): float32 (tokens, hidden), not scaled."""

    @abstractmethod
    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """Return the product of states (rows, hidden) and the language-model head: float32 (rows, vocabulary)."""

    @abstractmethod
    def argmax_token(self, state: torch.Tensor, *, exclude: Sequence[int]) -> int:
        """Return the token with the largest logit that is not in `exclude`, for one state (1, hidden)."""


class TensorParameters(Parameters):
    """Parameters from float tensors by name; `make_linear` builds the matrices, smoothed if there are scales.

    Layers and the embedding table are moved to `device` when they are first needed.
    `int8_layers` are layers that were stored in int8 already, with the names of `read_int8_layers`.
    """

    def __init__(
        self,
        tensors: Tensors,
        config: DecoderConfig,
        make_linear: MakeLinear,
        *,
        smoothing: Sequence[Smoothing] = (),
        int8_layers: Arrays | None = None,
        device: str = "cpu",
    ) -> None:
        self.config = config
        self._device = torch.device(device)
        self.final_gain = (tensors["norm.weight"].float() + config.gain_offset).to(self._device)
        self._tensors = tensors
        self._make_linear = make_linear
        self._smoothing = smoothing
        self._int8_layers = int8_layers or {}
        self._layers: list[Layer] = []
        self._lock = Lock()
        self._head_search: Int8ExactSearch | None = None

    def layer(self, number: int) -> Layer:
        """Return a layer; build it, and those below it, when it is first needed."""
        with self._lock:
            while len(self._layers) <= number:
                self._layers.append(self._build_layer(len(self._layers)))
            return self._layers[number]

    def _build_layer(self, number: int) -> Layer:
        prefix = f"{number}."
        stored = {name: array for name, array in self._int8_layers.items() if name.startswith(prefix)}
        if stored:
            return unpack_layer({name.removeprefix(prefix): torch.from_numpy(array) for name, array in stored.items()})
        weights = layer_weights(self._tensors, self.config, number)
        if self._smoothing:
            weights = self._smoothing[number].apply_to(weights)
        return Layer.of(weights.to(self._device), self._make_linear)

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Return rows of the embedding table."""
        return self._table.index_select(0, ids).float()

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """Return logits; the head is float32 in every precision."""
        return linear(Projection(self._head, None), Precision.FP32)(states)

    def argmax_token(self, state: torch.Tensor, *, exclude: Sequence[int]) -> int:
        """Return the most likely token without computing the logits of all others."""
        if self._head_search is None:
            self._head_search = Int8ExactSearch(self._head.numpy())
        tokens, _ = self._head_search.search(state[0].numpy(), k=len({*exclude}) + 1)
        return next(int(token) for token in tokens if token not in exclude)

    @cached_property
    def _table(self) -> torch.Tensor:
        return self._tensors["embed_tokens.weight"].to(self._device)

    @cached_property
    def _head(self) -> torch.Tensor:  # large in float32, and not needed for embeddings
        return head_weight(self._tensors, self.config).float()
