"""What embeds queries without torch: the layers in int8, in the cache, and the embedding table of the model."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from echo_index.embeddings.decoder.int8_layers import map_arrays, write_int8_layers
from echo_index.embeddings.runtime.executor import run_on_executor
from echo_index.embeddings.vectors.vector_ops import Vectors

if TYPE_CHECKING:
    import torch

    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.embeddings.models.language_model import LanguageModel

_TABLE = "embed_tokens.weight"
_MOST_PARAMETERS = 500_000_000  # a larger file would take as long to read as torch takes to load


def write_query_weights(encoder: EchoEncoder) -> None:
    """Store the layers of an encoder in int8 in the cache, if its model is small enough for this to be worthwhile.

    A cache that cannot be written is not an error: they are written next time.
    """
    model, layers = encoder.model, encoder.deepest_layer
    if encoder.precision.value != "int8" or _parameters(model, layers) > _MOST_PARAMETERS or not _has_own_table(model):
        return
    run_on_executor(lambda: write_int8_layers(model.weights_hash, layers, lambda: _int8_layers(model, layers)))


def embedding_table(folder: Path) -> npt.NDArray[Any]:
    """Return the embedding table (vocabulary, hidden) of the model in a folder, mapped into memory: for `float_rows`.

    Raises:
        OSError, ValueError, KeyError: the folder has none in a safetensors file, or the file is damaged.
    """
    arrays = {name: array for path in sorted(folder.glob("*.safetensors")) for name, array in map_arrays(path).items()}
    return arrays[_TABLE] if _TABLE in arrays else arrays[f"model.{_TABLE}"]


def float_rows(table: npt.NDArray[Any], ids: Sequence[int]) -> Vectors:
    """Return rows of a table as float32; uint16 stands for bfloat16, which NumPy lacks."""
    rows = table[list(ids)]
    return (rows.astype(np.uint32) << 16).view(np.float32) if rows.dtype == np.uint16 else rows.astype(np.float32)


def _parameters(model: LanguageModel, layers: int) -> int:
    """Return the number of parameters of the first layers of a model."""
    from echo_index.embeddings.decoder.weights import tensor_shapes

    assert model.decoder_config is not None  # as in every model that runs in int8
    shapes = tensor_shapes(model.decoder_config)
    prefixes = tuple(f"layers.{number}." for number in range(layers))
    return sum(prod(shape) for name, shape in shapes.items() if name.startswith(prefixes))


def _has_own_table(model: LanguageModel) -> bool:
    """Return whether the embedding table is that in the folder of the model: no adapter changes it."""
    base = model.without_adapter
    return base is None or model.weights()[_TABLE] is base.weights()[_TABLE]


def _int8_layers(model: LanguageModel, layers: int) -> dict[str, torch.Tensor]:
    from echo_index.embeddings.decoder.int8_tensors import pack_layer
    from echo_index.embeddings.decoder.weights import layer_weights

    config, tensors = model.decoder_config, model.weights()
    assert config is not None
    packed: dict[str, torch.Tensor] = {"final_gain": tensors["norm.weight"].float() + config.gain_offset}
    for number, smoothing in enumerate(model.smoothing()[:layers]):
        layer = pack_layer(smoothing.apply_to(layer_weights(tensors, config, number)))
        packed |= {f"{number}.{name}": tensor for name, tensor in layer.items()}
    return packed
