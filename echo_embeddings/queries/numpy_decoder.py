"""The layers of a decoder in NumPy: slower than `Decoder` for many texts, but there at once for a single one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from echo_index.embeddings.decoder.config import Activation, DecoderConfig, RotaryParameters
from echo_index.embeddings.runtime.cores import available_cores
from echo_index.embeddings.vectors.vector_ops import Vectors

# Abramowitz and Stegun, formula 7.1.26: the error function with an error below 2e-7, far below the rounding to int8
_ERF_SCALE = 0.3275911
_ERF_COEFFICIENTS = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)


class NumpyDecoder:
    """Runs the first layers of a decoder, from the tensors that `write_query_weights` stores, over one text.

    Only the matrices are in int8; their inputs, which `Decoder` in int8 rounds too, stay in float32. So the states are
    a little closer to the exact ones than those of `Decoder` in int8.
    """

    def __init__(self, config: DecoderConfig, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        self._config = config
        self._tensors = tensors
        self._cores = available_cores()
        self._threads = ThreadPoolExecutor(self._cores, thread_name_prefix="query")

    def states(self, embedded: Vectors, *, layers: Collection[int]) -> dict[int, Vectors]:
        """Return the states (tokens, hidden) at some layers, numbered as by `Decoder`, from embedded tokens."""
        config = self._config
        states = embedded * np.float32(config.embedding_scale)
        wanted = {}
        for layer in range(1, max(layers) + 1):
            states = self._run_layer(layer - 1, states)
            if layer in layers:
                final = layer == config.depth
                wanted[layer] = _rms_norm(states, self._tensors["final_gain"], config.epsilon) if final else states
        return wanted

    def _run_layer(self, number: int, states: Vectors) -> Vectors:
        config = self._config
        rows = self._normalized(number, "before_attention", states)
        projected = self._product(number, "queries_keys_values", rows).reshape(len(states), -1, config.head_dim)
        queries_keys, values = np.split(projected, [config.heads + config.key_value_heads], axis=1)
        queries_keys = self._normalized(number, "queries_keys_gain", queries_keys)
        queries_keys = _rotate(queries_keys, config.layers[number].rotary)
        queries, keys = np.split(queries_keys, [config.heads], axis=1)
        attended = _attend(queries, keys, values, window=config.layers[number].window, softcap=config.attn_softcap)
        residual = self._product(number, "attention_out", attended)
        states = states + self._normalized(number, "after_attention", residual)
        rows = self._normalized(number, "before_feed_forward", states)
        inner = _activate(self._product(number, "gate", rows), config.activation) * self._product(number, "up", rows)
        residual = self._product(number, "down", inner)
        return states + self._normalized(number, "after_feed_forward", residual)

    def _product(self, number: int, name: str, rows: Vectors) -> Vectors:
        prefix = f"{number}.{name}"
        parts = np.array_split(self._tensors[f"{prefix}.values"], self._cores)
        products: Vectors = np.concatenate(
            [*self._threads.map(lambda part: rows @ part.astype(np.float32).T, parts)], axis=1
        )
        products *= self._tensors[f"{prefix}.scales"]
        bias = self._tensors.get(f"{prefix}.bias")
        return products if bias is None else np.asarray(products + bias)

    def _normalized(self, number: int, name: str, rows: Vectors) -> Vectors:
        """Return RMSNorm with the gain of this name; the rows themselves if the architecture has no such one."""
        gain = self._tensors.get(f"{number}.{name}")
        return rows if gain is None else _rms_norm(rows, gain, self._config.epsilon)


def _rms_norm(rows: Vectors, gain: Vectors, epsilon: float) -> Vectors:
    """RMSNorm (arXiv 1910.07467) over the last dimension."""
    mean_square = np.square(rows).mean(axis=-1, keepdims=True)
    return np.asarray(rows / np.sqrt(mean_square + np.float32(epsilon)) * gain)


def _rotate(heads: Vectors, rotary: RotaryParameters) -> Vectors:
    """Return heads (tokens, heads, head_dim) rotated by their positions; adjacent channels form a pair."""
    angles = np.arange(len(heads), dtype=np.float32)[:, None] * np.array(rotary.frequencies, dtype=np.float32)
    phases = (rotary.scale * np.exp(1j * angles)).astype(np.complex64)
    pairs = np.ascontiguousarray(heads).view(np.complex64)
    rotated: Vectors = (pairs * phases[:, None, :]).view(np.float32)
    return rotated


def _attend(queries: Vectors, keys: Vectors, values: Vectors, *, window: int | None, softcap: float | None) -> Vectors:
    """Return the causal attention of each query: (tokens, heads x head_dim).

    Shapes: queries (tokens, heads, head_dim), already scaled; keys and values (tokens, key-value heads, head_dim).
    """
    tokens, heads, head_dim = queries.shape
    groups = keys.shape[1]
    # (key-value heads, tokens x heads that share one, …): queries that share a key-value head are rows of one matrix
    by_group = queries.reshape(tokens, groups, -1, head_dim).transpose(1, 0, 2, 3).reshape(groups, -1, head_dim)
    scores = by_group @ keys.transpose(1, 2, 0)
    if softcap is not None:
        scores = np.tanh(scores / np.float32(softcap)) * np.float32(softcap)
    scores = scores.reshape(groups, tokens, -1, tokens) + _causal_mask(tokens, window)
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    attended = scores.reshape(groups, -1, tokens) @ values.transpose(1, 0, 2)
    by_token = attended.reshape(groups, tokens, -1, head_dim).transpose(1, 0, 2, 3)
    return np.asarray(by_token.reshape(tokens, heads * head_dim))


@lru_cache(maxsize=4)
def _causal_mask(tokens: int, window: int | None) -> Vectors:
    """Return (tokens, 1, tokens): 0 where a query sees a key, else -inf."""
    distance = np.arange(tokens)[:, None] - np.arange(tokens)
    hidden = (distance < 0) | (distance >= (tokens if window is None else window))
    mask: Vectors = np.where(hidden, np.float32(-np.inf), np.float32(0))
    return mask[:, None, :]


def _activate(rows: Vectors, activation: Activation) -> Vectors:
    """Apply an activation function; the exact GELU stands for its tanh approximation, too, as in `Int8Linear`."""
    if activation == "silu":
        return np.asarray(rows / (1 + np.exp(-rows)))
    halved = np.abs(rows) * np.float32(0.5**0.5)
    step = 1 / (1 + np.float32(_ERF_SCALE) * halved)
    polynomial = np.zeros_like(rows)
    for coefficient in _ERF_COEFFICIENTS:
        polynomial = (polynomial + np.float32(coefficient)) * step
    error_function = np.copysign(1 - polynomial * np.exp(-np.square(halved)), rows)
    return np.asarray(np.float32(0.5) * rows * (1 + error_function))
