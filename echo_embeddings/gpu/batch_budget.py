"""Choose how many tokens are run at once: what keeps the caches of a CPU warm, or fits into the memory of a GPU."""

from __future__ import annotations

import torch

from echo_index.embeddings.decoder.config import DecoderConfig
from echo_index.embeddings.models.language_model import LanguageModel

_CPU_TOKENS = 1024  # with more, activations leave the caches
_TRANSFORMERS_TOKENS = 32768  # on a GPU, padding included
_LEAST, _MOST = 4096, 131_072  # on a GPU; with more than this it is no faster
_SHARE = 0.4  # of the free memory; the rest is for the weights, if they are still to come, and for the kernels


def batch_token_budget(model: LanguageModel) -> int:
    """Return the most tokens of a batch of texts for a model on its device."""
    if model.device.name == "cpu":
        return _CPU_TOKENS
    if model.decoder_config is None:
        return _TRANSFORMERS_TOKENS
    free, _ = torch.cuda.mem_get_info()
    return min(_MOST, max(_LEAST, int(_SHARE * free / bytes_per_token(model.decoder_config))))


def bytes_per_token(config: DecoderConfig) -> int:
    """Return about how many bytes a layer has in use for each token, at its largest."""
    states = 4 * 4 * config.hidden_size  # float32: the residual stream, its norm, a product, and what is added
    inner = 3 * 4 * config.intermediate_size + 2 * config.intermediate_size
    heads = (4 + 2 + 2 + 4) * (config.heads + 2 * config.key_value_heads) * config.head_dim
    return states + inner + heads
