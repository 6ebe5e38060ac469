"""The int8 weights that embed queries: one file in the cache for a model, written with torch and read without it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from echo_index.embeddings.runtime.atomic_write import replace_file
from echo_index.embeddings.runtime.cache import cache_folder
from echo_index.embeddings.runtime.executor import run_on_executor
from echo_index.embeddings.vectors.vector_ops import Vectors

if TYPE_CHECKING:
    import torch

    from echo_index.embeddings.decoder.weights import LayerWeights
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.embeddings.models.language_model import LanguageModel

QueryWeights = Mapping[str, npt.NDArray[Any]]
"""Arrays by names such as `0.gate.values`: the number of the layer and the names of `LayerWeights`; `final_gain`."""

_FORMAT = 1
_DTYPES = {"I8": np.int8, "F32": np.float32, "F16": np.float16, "BF16": np.uint16}
_TABLE = "embed_tokens.weight"
_MOST_PARAMETERS = 500_000_000  # a larger file would take as long to read as torch takes to load


def read_query_weights(weights_hash: str, *, layers: int) -> QueryWeights | None:
    """Return the weights of the first layers of a model; None if they were never written, or are damaged."""
    with suppress(OSError, ValueError, KeyError):
        return _mapped(_path(weights_hash, layers))
    return None


def write_query_weights(encoder: EchoEncoder) -> None:
    """Write the weights of an encoder in int8 to the cache, if its model is small enough for this to be worthwhile.

    A cache that cannot be written is not an error: they are written next time.
    """
    model, layers = encoder.model, encoder.deepest_layer
    if encoder.precision.value != "int8" or _parameters(model, layers) > _MOST_PARAMETERS or not _has_own_table(model):
        return
    path = _path(model.weights_hash, layers)
    with suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        replace_file(path, lambda unfinished: run_on_executor(lambda: _write(model, layers, unfinished)))


def embedding_table(folder: Path) -> npt.NDArray[Any]:
    """Return the embedding table (vocabulary, hidden) of the model in a folder, mapped into memory: for `float_rows`.

    Raises:
        OSError, ValueError, KeyError: the folder has none in a safetensors file, or the file is damaged.
    """
    arrays = {name: array for path in sorted(folder.glob("*.safetensors")) for name, array in _mapped(path).items()}
    return arrays[_TABLE] if _TABLE in arrays else arrays[f"model.{_TABLE}"]


def float_rows(table: npt.NDArray[Any], ids: Sequence[int]) -> Vectors:
    """Return rows of a table as float32; uint16 stands for bfloat16, which NumPy lacks."""
    rows = table[list(ids)]
    return (rows.astype(np.uint32) << 16).view(np.float32) if rows.dtype == np.uint16 else rows.astype(np.float32)


def _mapped(path: Path) -> QueryWeights:
    """Return the arrays of a safetensors file, mapped into memory; its own reader copies them, and lacks bfloat16.

    Raises:
        OSError, ValueError, KeyError: there is no file, or it is damaged.
    """
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    content = np.memmap(path, mode="r", offset=8 + size)
    return {
        name: content[slice(*array["data_offsets"])].view(_DTYPES[array["dtype"]]).reshape(array["shape"])
        for name, array in header.items()
        if array.get("dtype") in _DTYPES
    }


def _path(weights_hash: str, layers: int) -> Path:
    return cache_folder() / "queries" / f"{weights_hash}-{layers}-{_FORMAT}.safetensors"


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


def _write(model: LanguageModel, layers: int, path: Path) -> None:
    from safetensors.torch import save_file

    from echo_index.embeddings.decoder.weights import layer_weights

    config, tensors = model.decoder_config, model.weights()
    assert config is not None
    packed: dict[str, torch.Tensor] = {"final_gain": tensors["norm.weight"].float() + config.gain_offset}
    for number, smoothing in enumerate(model.smoothing()[:layers]):
        packed |= _quantized(number, smoothing.apply_to(layer_weights(tensors, config, number)))
    save_file(packed, path)


def _quantized(number: int, weights: LayerWeights) -> dict[str, torch.Tensor]:
    from echo_index.embeddings.decoder.linear import Int8Weights
    from echo_index.embeddings.decoder.weights import Projection

    def parts() -> Iterator[tuple[str, torch.Tensor | None]]:
        for field in fields(weights):
            value: Projection | torch.Tensor | None = getattr(weights, field.name)
            if isinstance(value, Projection):
                matrix = Int8Weights.quantize(value)
                yield f"{field.name}.values", matrix.values
                yield f"{field.name}.scales", matrix.scales
                yield f"{field.name}.bias", matrix.bias
            else:
                yield field.name, value

    return {f"{number}.{name}": tensor.contiguous() for name, tensor in parts() if tensor is not None}
