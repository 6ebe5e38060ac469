"""The gradients of the loss of a batch of any size, in bounded memory (gradient caching, arXiv 2101.06983)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from echo_index.embeddings.text.prompt_tokens import EchoTokens
    from echo_index.embeddings.training.distributed import ProcessGroup
    from echo_index.embeddings.training.trainable_encoder import TrainableEncoder

Loss = Callable[[torch.Tensor], torch.Tensor]
"""From the vectors of all sequences, in their order, to a scalar."""


def cached_backward(
    encoder: TrainableEncoder, sequences: Sequence[EchoTokens], loss: Loss, *, most_tokens: int, processes: ProcessGroup
) -> float:
    """Add the gradients of the loss to those of the encoder's parameters, in all processes alike; return the loss.

    Activations for the backward pass are stored for at most `most_tokens` tokens. A larger batch is embedded without
    gradients first, and then once more, pass by pass, with the gradients of the loss with respect to its vectors (Gao
    et al., arXiv 2101.06983). The gradients are the same, for half as much computation again.
    """
    passes = [*encoder.passes(sequences)]
    if sum(map(len, sequences)) <= most_tokens and not processes.is_distributed:
        value = loss(_embed_all(encoder, sequences, passes))
        value.backward()
        return value.item()
    with torch.no_grad():
        vectors = torch.zeros(len(sequences), encoder.dimension, device=encoder.device)
        for positions in processes.shard(passes):
            vectors[positions] = encoder.embed([sequences[position] for position in positions])
        processes.all_reduce(vectors)
    vectors.requires_grad_()
    value = loss(vectors)
    value.backward()
    assert vectors.grad is not None
    for positions in processes.shard(passes):
        recomputed = encoder.embed([sequences[position] for position in positions])
        (recomputed * vectors.grad[positions]).sum().backward()
    if processes.is_distributed:
        for parameter in encoder.parameters:
            if parameter.grad is None:  # this process had no pass
                parameter.grad = torch.zeros_like(parameter)
            processes.all_reduce(parameter.grad)
    return value.item()


def _embed_all(encoder: TrainableEncoder, sequences: Sequence[EchoTokens], passes: Sequence[list[int]]) -> torch.Tensor:
    order = torch.tensor([position for positions in passes for position in positions])
    vectors = [encoder.embed([sequences[position] for position in positions]) for positions in passes]
    return torch.cat(vectors).index_select(0, order.argsort())
