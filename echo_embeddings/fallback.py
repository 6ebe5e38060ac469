"""transformers' own forward, for architectures and devices that our layers do not run. Knows no texts or prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from echo_embeddings.errors import ModelError
from echo_embeddings.models import LanguageModel


class _LayerReached(Exception):
    """Leaves a forward pass at the layer whose output is wanted; not an error."""

    def __init__(self, hidden: torch.Tensor) -> None:
        self.hidden = hidden


class TransformersLayers:
    """Hidden states of one layer from the model as transformers runs it, stopped where they are ready."""

    def __init__(self, model: LanguageModel, *, layer: int, dtype: torch.dtype) -> None:
        self._reader = model.reader_in(dtype)
        self._device = model.device.name
        self._blocks = _find_blocks(self._reader)
        self._layer = layer

    def padded_states(self, sequences: Sequence[Sequence[int]]) -> torch.Tensor:
        """Return (sequences, longest, hidden) in the model's dtype; rows are padded on the right.

        In a causal model no token sees what stands right of it, so the padding needs no mask and changes nothing.
        """
        longest = max(map(len, sequences))
        rows = [[*ids, *[0] * (longest - len(ids))] for ids in sequences]
        ids = torch.tensor(rows, device=self._device)
        with self._leaving_early():
            try:
                output: torch.Tensor = self._reader(input_ids=ids, use_cache=False).last_hidden_state
            except _LayerReached as reached:
                return reached.hidden
        return output

    @contextmanager
    def _leaving_early(self) -> Iterator[None]:
        """Let the pass inside end at the layer that is wanted; passes take turns, so that no other is inside."""
        if self._layer == len(self._blocks):
            yield
            return
        hook = self._blocks[self._layer - 1].register_forward_hook(_leave)
        try:
            yield
        finally:
            hook.remove()


def _leave(block: nn.Module, inputs: object, output: torch.Tensor | tuple[torch.Tensor, ...]) -> None:
    raise _LayerReached(output if isinstance(output, torch.Tensor) else output[0])


def _find_blocks(reader: nn.Module) -> nn.ModuleList:
    """Find the list of layers, whatever the architecture calls it: the one list as long as the model is deep."""
    depth = int(reader.config.get_text_config().num_hidden_layers)  # type: ignore[union-attr, operator]
    for module in reader.modules():
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            return module
    raise ModelError(f"{type(reader).__name__} has no list of {depth} layers to stop at.")
