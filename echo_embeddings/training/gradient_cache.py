"""One step: the gradients of a batch's loss, of any size in any memory. Knows no optimizer and no texts."""

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
    """Add the gradients of the loss to those of the student's parameters, in all processes the same; return the loss.

    What a gradient needs of all passes together is kept for `most_tokens` at most. Where there are more, the vectors
    are computed first, and pass by pass once more for the gradients (gradient caching: Gao and others, arXiv
    2101.06983): the same gradients for half as much work again.
    """
    passes = [*encoder.passes(sequences)]
    if sum(map(len, sequences)) <= most_tokens and not processes.is_distributed:
        found = loss(_all_vectors(encoder, sequences, passes))
        found.backward()
        return found.item()
    with torch.no_grad():
        vectors = torch.zeros(len(sequences), encoder.dimension, device=encoder.device)
        for positions in processes.shard(passes):
            vectors[positions] = encoder.embed([sequences[position] for position in positions])
        processes.all_reduce(vectors)
    vectors.requires_grad_()
    found = loss(vectors)
    found.backward()
    assert vectors.grad is not None
    for positions in processes.shard(passes):
        again = encoder.embed([sequences[position] for position in positions])
        (again * vectors.grad[positions]).sum().backward()
    if processes.is_distributed:
        for parameter in encoder.parameters:
            if parameter.grad is None:  # this process had nothing to do
                parameter.grad = torch.zeros_like(parameter)
            processes.all_reduce(parameter.grad)
    return found.item()


def _all_vectors(
    trainable: TrainableEncoder, sequences: Sequence[EchoTokens], passes: Sequence[list[int]]
) -> torch.Tensor:
    places = torch.tensor([position for positions in passes for position in positions])
    parts = [trainable.embed([sequences[position] for position in positions]) for positions in passes]
    return torch.cat(parts).index_select(0, places.argsort())
