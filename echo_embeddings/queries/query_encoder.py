"""Embed queries as an int8 encoder does, but without torch: for a process that asks once and ends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from echo_index.embeddings.decoder.config import DecoderConfig, read_decoder_config
from echo_index.embeddings.decoder.int8_layers import Arrays, read_int8_layers
from echo_index.embeddings.models.bundled import bundled_adapter
from echo_index.embeddings.models.gguf import Notice
from echo_index.embeddings.models.linear_head import LinearHead, combine_views, is_linear_head
from echo_index.embeddings.models.resolve import find_model
from echo_index.embeddings.models.weights_hash import hash_weights
from echo_index.embeddings.queries.numpy_decoder import NumpyDecoder
from echo_index.embeddings.queries.query_weights import embedding_table, float_rows
from echo_index.embeddings.text.echo_prompt import EchoPrompt
from echo_index.embeddings.text.prompt_tokens import EchoTokens, PromptTokenizer
from echo_index.embeddings.text.tokenizer import ModelTokenizer
from echo_index.embeddings.vectors.layer_views import LayerView, deepest_layer, parse_views
from echo_index.embeddings.vectors.vector_ops import Vectors, l2_normalize
from echo_index.errors import ModelError

Config = dict[str, str | int | None]
"""The configuration of an encoder, `EchoEncoder.config`."""


class QueryEncoder:
    """Embeds queries with the weights that `write_query_weights` has stored.

    A vector differs from that of an `EchoEncoder` in int8 by no more than that one's vectors do where their inputs
    differ by a rounding error.
    """

    def __init__(
        self, config: Config, folder: Path, decoder: DecoderConfig, weights: Arrays, head: LinearHead | None
    ) -> None:
        self._table = embedding_table(folder)
        self._decoder = NumpyDecoder(decoder, weights)
        self._head = head
        self._views = parse_views(config["layer"] or "")
        self._pools_last = config["pooling"] == "last"
        self._prompt = EchoPrompt(str(config["query_prompt"]))
        self._instruction = str(config["instruction"])
        self._tokenizer = PromptTokenizer(ModelTokenizer.load(folder), max_tokens=int(config["max_tokens"] or 0))

    @classmethod
    def from_config(cls, config: Config, *, model: str | None, notice: Notice) -> QueryEncoder | None:
        """Return the encoder of a config; None if it is not in int8, or its weights are not stored or have changed.

        `model` is the present name or path of the model, if it was moved.
        """
        if config["dtype"] != "int8":
            return None
        try:
            folder = find_model(str(config["model"] if model is None else model), notice=notice)
            adapter = _adapter(config)
            if hash_weights(folder, adapter) != config["weights"]:
                return None
            layers = deepest_layer(parse_views(config["layer"] or ""))
            weights, decoder = read_int8_layers(str(config["weights"]), layers=layers), read_decoder_config(folder)
            if weights is None or decoder is None:
                return None
            has_head = adapter is not None and is_linear_head(adapter)
            head = LinearHead.load(adapter, dimension=decoder.hidden_size) if adapter and has_head else None
            return cls(config, folder, decoder, weights, head)
        except (ModelError, OSError, ValueError, KeyError):  # the encoder with torch says what is wrong
            return None

    def encode_queries(self, texts: Sequence[str], *, instruction: str | None = None) -> Vectors:
        """Embed queries with a task instruction: float32 (n, dimension), unit rows, in the order of `texts`.

        Raises:
            TextError: a text is empty.
            PromptError: an instruction is given, but the query prompt has no slot for it.
        """
        sequences = self._tokenizer.assemble_queries(
            self._prompt, texts, instruction=instruction, default=self._instruction
        )
        return np.concatenate([self._encode(tokens) for tokens in sequences])

    def _encode(self, tokens: EchoTokens) -> Vectors:
        """Return the unit row (1, dimension) of one text."""
        states = self._decoder.states(float_rows(self._table, tokens.ids), layers={view.layer for view in self._views})
        pooled = [self._pool(states[view.layer], tokens, view) for view in self._views]
        return combine_views(pooled, self._views, self._head)

    def _pool(self, states: Vectors, tokens: EchoTokens, view: LayerView) -> Vectors:
        start, end = tokens.span(view.text_pass)
        pooled = states[end - 1 : end] if self._pools_last else states[start:end].mean(axis=0, keepdims=True)
        return l2_normalize(pooled)


def _adapter(config: Config) -> Path | None:
    adapter = config["adapter"]
    if adapter == "own":
        return bundled_adapter(str(config["model"]))
    return None if adapter is None else Path(str(adapter))
