"""How many tokens of a batch fit into memory with what their gradients need."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from echo_index.embeddings.text.prompt_tokens import EchoTokens
    from echo_index.embeddings.training.trainable_encoder import TrainableEncoder

_SHARE = 0.5  # of the memory: the rest is for the model, its teacher, and other programs
_DEFAULT_BYTES = 8 << 30  # where the system does not report its memory


def token_budget(encoder: TrainableEncoder, sequences: Sequence[EchoTokens]) -> int:
    """Return the number of tokens whose activations for the backward pass fill half of the memory.

    The bytes per token are measured on one pass of some of the sequences.
    """
    positions = next(iter(encoder.passes(sequences)))
    batch = [sequences[position] for position in positions]
    saved_bytes: dict[int, int] = {}

    def record(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        saved_bytes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor):
        vectors = encoder.embed(batch)
    del vectors  # not before: while they live, no two saved tensors have the same address
    bytes_per_token = sum(saved_bytes.values()) / sum(map(len, batch))
    return max(1, int(_SHARE * _memory_bytes(encoder.device) / bytes_per_token))


def _memory_bytes(device: str) -> int:
    if device == "cuda":
        free, _ = torch.cuda.mem_get_info()
        return free
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return _DEFAULT_BYTES
