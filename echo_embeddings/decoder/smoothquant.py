"""Scales that make int8 harmless: what is large in activations is moved into weights. Knows no texts and no kernels.

SmoothQuant (Xiao et al., arXiv 2211.10438). A token's numbers share one step of int8, which the largest of them sets:
where a few channels are large in every token, all others lose their last digits. Each channel is divided by a scale,
and the weights that it meets are multiplied by it. What divides costs nothing: the gain of the normalization before, or
the rows of the matrix that the channel comes from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from echo_index.embeddings.decoder.weights import LayerWeights, Projection


@dataclass(frozen=True, eq=False)
class Smoothing:
    """The scales of one layer: of what its four kinds of matrices are given. float32, positive, about 1.

    `queries_keys_values` (hidden), `attention_out` (key-value heads, head_dim), `feed_forward` (hidden) and `down`
    (intermediate).
    """

    queries_keys_values: torch.Tensor
    attention_out: torch.Tensor
    feed_forward: torch.Tensor
    down: torch.Tensor

    def applied(self, weights: LayerWeights) -> LayerWeights:
        """Return a layer that gives what it gave, with smoother activations between its matrices."""
        projected, values = weights.queries_keys_values, self.attention_out.flatten()
        heads = weights.attention_out.weight.shape[1] // values.numel()
        shared = self.attention_out.repeat_interleave(heads, dim=0).flatten()
        return replace(
            weights,
            before_attention=weights.before_attention / self.queries_keys_values,
            queries_keys_values=_last_rows_divided(_columns_times(projected, self.queries_keys_values), values),
            attention_out=_columns_times(weights.attention_out, shared),
            before_feed_forward=weights.before_feed_forward / self.feed_forward,
            gate=_columns_times(weights.gate, self.feed_forward),
            up=_last_rows_divided(_columns_times(weights.up, self.feed_forward), self.down),
            down=_columns_times(weights.down, self.down),
        )


def _columns_times(projection: Projection, scales: torch.Tensor) -> Projection:
    return Projection(projection.weight * scales, projection.bias)


def _last_rows_divided(projection: Projection, scales: torch.Tensor) -> Projection:
    """Divide the last rows, which give the values, by their scales."""
    divisors = torch.cat([torch.ones(len(projection.weight) - len(scales)), scales])
    bias = None if projection.bias is None else projection.bias / divisors
    return Projection(projection.weight / divisors[:, None], bias)
