"""Runs token batches through the layers that are needed and no further. Knows nothing of texts or prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from echo_embeddings.errors import ModelError
from echo_embeddings.models import LanguageModel
from echo_embeddings.tokens import EchoTokens


class _LayerReached(Exception):
    """Leaves a forward pass at the layer whose output is wanted; not an error."""

    def __init__(self, hidden: torch.Tensor) -> None:
        self.hidden = hidden


class Engine:
    """Hidden states of one layer for batches of token sequences. Thread-safe.

    `layer` counts as `hidden_states` does in transformers: 1 is the output of the first layer, the number of layers
    (or None) is the last, after the final normalization.
    """

    def __init__(self, model: LanguageModel, *, layer: int | None = None) -> None:
        self._blocks = _find_blocks(model.reader)
        self.layer = len(self._blocks) if layer is None else layer
        if not 1 <= self.layer <= len(self._blocks):
            raise ModelError(f"The model {model.name} has layers 1 to {len(self._blocks)}; there is no layer {layer}.")
        self._model = model

    @torch.inference_mode()
    def hidden_states(self, batch: Sequence[EchoTokens]) -> torch.Tensor:
        """Return (len(batch), longest, hidden size) in the model's dtype; rows are padded on the right.

        In a causal model no token sees what stands right of it, so the padding needs no mask and changes nothing.
        """
        longest = max(map(len, batch))
        rows = [tokens.ids + (0,) * (longest - len(tokens)) for tokens in batch]
        ids = torch.tensor(rows, device=self._model.device.name)
        with self._model.lock, self._leaving_early():
            try:
                output: torch.Tensor = self._model.reader(input_ids=ids, use_cache=False).last_hidden_state
            except _LayerReached as reached:
                return reached.hidden
        return output

    @contextmanager
    def _leaving_early(self) -> Iterator[None]:
        """Let the pass inside end at the layer that is wanted; the model's lock keeps other passes out meanwhile."""
        if self.layer == len(self._blocks):
            yield
            return
        hook = self._blocks[self.layer - 1].register_forward_hook(_leave)
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
