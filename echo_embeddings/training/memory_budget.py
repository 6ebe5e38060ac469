"""How much of a batch can be kept in memory for its gradients. Knows no texts and no loss."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from echo_index.embeddings.text.prompt_tokens import EchoTokens
    from echo_index.embeddings.training.trainable_encoder import TrainableEncoder

_SHARE = 0.5  # of the memory: the rest is for the model, its teacher, and whatever else runs here
_UNKNOWN = 8 << 30  # bytes, where the system does not tell


def token_budget(encoder: TrainableEncoder, sequences: Sequence[EchoTokens]) -> int:
    """Return of how many tokens half of the memory holds what their gradients need, as measured on a pass of some."""
    positions = next(iter(encoder.passes(sequences)))
    batch = [sequences[position] for position in positions]
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        vectors = encoder.embed(batch)
    del vectors  # until here, no two of what was kept had the same address
    of_a_token = sum(kept.values()) / sum(map(len, batch))
    return max(1, int(_SHARE * _memory(encoder.device) / of_a_token))


def _memory(device: str) -> int:
    if device == "cuda":
        free, _ = torch.cuda.mem_get_info()
        return free
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return _UNKNOWN
