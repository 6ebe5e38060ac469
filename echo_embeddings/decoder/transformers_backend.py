"""Hidden states from transformers' own forward pass, for architectures and devices without a native decoder."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import nn

from echo_index.errors import ModelError

if TYPE_CHECKING:
    from echo_index.embeddings.decoder.packing import SpansAt
    from echo_index.embeddings.text.prompt_tokens import EchoTokens


class _LastLayerReached(Exception):
    """Ends a forward pass at the last layer whose output is wanted; not an error."""


class TransformersBackend:
    """The hidden states of a base model of transformers; a pass ends at the deepest layer that is wanted."""

    def __init__(self, base_model: nn.Module, *, device: str) -> None:
        self._base_model = base_model
        self._device = device
        self._blocks = find_blocks(base_model)

    def span_states(self, batch: Sequence[EchoTokens], wanted: Sequence[SpansAt]) -> list[torch.Tensor]:
        """Return for each of `wanted` the states of its spans, text by text: float32 (tokens, hidden)."""
        padded = self.padded_states([tokens.ids for tokens in batch], {layer for layer, _ in wanted})
        return [
            torch.cat([padded[layer][row, start:end].float() for row, (start, end) in enumerate(spans)])
            for layer, spans in wanted
        ]

    def padded_states(self, sequences: Sequence[Sequence[int]], layers: Collection[int]) -> dict[int, torch.Tensor]:
        """Return by layer (sequences, longest, hidden), in the model's dtype, padded on the right.

        No token of a causal model sees what is right of it, so the padding needs no attention mask.
        """
        longest = max(map(len, sequences))
        rows = [[*ids, *[0] * (longest - len(ids))] for ids in sequences]
        ids = torch.tensor(rows, device=self._device)
        with self._capturing(layers) as states, suppress(_LastLayerReached):
            output = self._base_model(input_ids=ids, use_cache=False)
            states[len(self._blocks)] = output.last_hidden_state  # after the final normalization
        return states

    @contextmanager
    def _capturing(self, layers: Collection[int]) -> Iterator[dict[int, torch.Tensor]]:
        """Capture the output of layers during the pass inside, and end the pass at the last of them.

        The model's last layer gets no hook: its state is taken after the final normalization. All callers share
        the model with its hooks, which is safe because all passes run on one thread.
        """
        states: dict[int, torch.Tensor] = {}
        hooks = [
            self._blocks[layer - 1].register_forward_hook(partial(_capture, states, layer, layer == max(layers)))
            for layer in layers
            if layer < len(self._blocks)
        ]
        try:
            yield states
        finally:
            for hook in hooks:
                hook.remove()


def _capture(
    states: dict[int, torch.Tensor],
    layer: int,
    is_last: bool,
    block: nn.Module,
    inputs: object,
    output: torch.Tensor | tuple[torch.Tensor, ...],
) -> None:
    states[layer] = output if isinstance(output, torch.Tensor) else output[0]
    if is_last:
        raise _LastLayerReached


def find_blocks(base_model: nn.Module) -> nn.ModuleList:
    """Return the model's list of layers, whose name differs by architecture: it is found by its length.

    Raises:
        ModelError: there is no such list.
    """
    depth = int(base_model.config.get_text_config().num_hidden_layers)  # type: ignore[union-attr, operator]
    for module in base_model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            return module
    raise ModelError(f"{type(base_model).__name__} cannot be run: it has no list of its {depth} layers.")
