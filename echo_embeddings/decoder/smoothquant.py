"""Scales that move large activations into the weights, so that int8 loses little.

SmoothQuant (Xiao et al., arXiv 2211.10438). In int8 all channels of a token share one quantization step, which the
largest channel sets: where a few channels are large in every token, the others lose their last digits. So each channel
is divided by a scale and the weights that it is multiplied by are multiplied by that scale. The division costs nothing:
it goes into the gain of the normalization before, or into the rows of the matrix that the channel comes from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from echo_index.embeddings.decoder.weights import LayerWeights, Projection


@dataclass(frozen=True, eq=False)
class Smoothing:
    """The scales of one layer, for the inputs of its four kinds of matrices: float32, positive, about 1.

    Shapes: `queries_keys_values` (hidden,), `attention_out` (key-value heads, head_dim), `feed_forward` (hidden,) and
    `down` (intermediate,).
    """

    queries_keys_values: torch.Tensor
    attention_out: torch.Tensor
    feed_forward: torch.Tensor
    down: torch.Tensor

    def apply_to(self, weights: LayerWeights) -> LayerWeights:
        """Return weights with the same output and smoother activations between the matrices."""
        projected, values = weights.queries_keys_values, self.attention_out.flatten()
        group = weights.attention_out.weight.shape[1] // values.numel()
        by_head = self.attention_out.repeat_interleave(group, dim=0).flatten()
        return replace(
            weights,
            before_attention=weights.before_attention / self.queries_keys_values,
            queries_keys_values=_divide_last_rows(_multiply_columns(projected, self.queries_keys_values), values),
            attention_out=_multiply_columns(weights.attention_out, by_head),
            before_feed_forward=weights.before_feed_forward / self.feed_forward,
            gate=_multiply_columns(weights.gate, self.feed_forward),
            up=_divide_last_rows(_multiply_columns(weights.up, self.feed_forward), self.down),
            down=_multiply_columns(weights.down, self.down),
        )


def _multiply_columns(projection: Projection, scales: torch.Tensor) -> Projection:
    return Projection(projection.weight * scales, projection.bias)


def _divide_last_rows(projection: Projection, scales: torch.Tensor) -> Projection:
    """Divide as many rows at the end as there are scales: in queries, keys and values these are the values."""
    divisors = torch.cat([torch.ones(len(projection.weight) - len(scales)), scales])
    bias = None if projection.bias is None else projection.bias / divisors
    return Projection(projection.weight / divisors[:, None], bias)
