"""The keys and values of tokens that a decoder has read, which later tokens attend to."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch


@dataclass(eq=False)
class KVCache:
    """The keys and values of the tokens read so far, by layer.

    `keys` and `values` have one tensor (capacity, key-value heads, head_dim) a layer, of which the first `tokens` rows
    are in use.
    """

    keys: list[torch.Tensor] = field(default_factory=list)
    values: list[torch.Tensor] = field(default_factory=list)
    tokens: int = 0

    def of_layer(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the keys and values of layer `number`: (tokens, key-value heads, head_dim) each."""
        return self.keys[number][: self.tokens], self.values[number][: self.tokens]

    def append(self, number: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Append keys and values to those of layer `number`, and return all of them.

        The caller raises `tokens` once it has appended to every layer.
        """
        end = self.tokens + len(keys)
        if number == len(self.keys):
            self.keys.append(keys.new_empty(0, *keys.shape[1:]))
            self.values.append(values.new_empty(0, *values.shape[1:]))
        if end > len(self.keys[number]):
            self.keys[number] = _grown(self.keys[number], 2 * end)
            self.values[number] = _grown(self.values[number], 2 * end)
        self.keys[number][self.tokens : end] = keys
        self.values[number][self.tokens : end] = values
        return self.keys[number][:end], self.values[number][:end]

    def shrink(self, tokens: int) -> None:
        """Keep only the first `tokens` tokens, and no room for more."""
        self.keys = [keys[:tokens].clone() for keys in self.keys]
        self.values = [values[:tokens].clone() for values in self.values]
        self.tokens = tokens


def _grown(tensor: torch.Tensor, capacity: int) -> torch.Tensor:
    larger = tensor.new_empty(capacity, *tensor.shape[1:])
    larger[: len(tensor)] = tensor
    return larger
