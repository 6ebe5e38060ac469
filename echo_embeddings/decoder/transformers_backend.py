"""transformers' own forward, for architectures and devices that our layers do not run. Knows no texts or prompts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

import torch
from torch import nn

from echo_index.errors import ModelError


class _LastLayerReached(Exception):
    """Leaves a forward pass at the last layer whose output is wanted; not an error."""


class TransformersBackend:
    """Hidden states of some layers from a reader as transformers runs it, stopped where they are ready."""

    def __init__(self, reader: nn.Module, *, device: str) -> None:
        self._reader = reader
        self._device = device
        self._blocks = find_blocks(reader)

    def padded_states(self, sequences: Sequence[Sequence[int]], layers: Collection[int]) -> dict[int, torch.Tensor]:
        """Return by layer (sequences, longest, hidden) in the model's dtype; rows are padded on the right.

        In a causal model no token sees what stands right of it, so the padding needs no mask and changes nothing.
        """
        longest = max(map(len, sequences))
        rows = [[*ids, *[0] * (longest - len(ids))] for ids in sequences]
        ids = torch.tensor(rows, device=self._device)
        with self._watching(layers) as states, suppress(_LastLayerReached):
            output = self._reader(input_ids=ids, use_cache=False)
            states[len(self._blocks)] = output.last_hidden_state  # after the final normalization
        return states

    @contextmanager
    def _watching(self, layers: Collection[int]) -> Iterator[dict[int, torch.Tensor]]:
        """Keep the output of layers of the pass inside and end it at the last of them, unless that is the model's last.

        Passes take turns, so that no other is inside.
        """
        states: dict[int, torch.Tensor] = {}
        hooks = [
            self._blocks[layer - 1].register_forward_hook(partial(_keep, states, layer, layer == max(layers)))
            for layer in layers
            if layer < len(self._blocks)
        ]
        try:
            yield states
        finally:
            for hook in hooks:
                hook.remove()


def _keep(
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


def find_blocks(reader: nn.Module) -> nn.ModuleList:
    """Find the list of layers, whatever the architecture calls it: the one list as long as the model is deep."""
    depth = int(reader.config.get_text_config().num_hidden_layers)  # type: ignore[union-attr, operator]
    for module in reader.modules():
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            return module
    raise ModelError(f"{type(reader).__name__} has no list of {depth} layers to stop at.")
