"""The tensors of a GGUF file by the names of transformers, dequantized one at a time when they are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch

from echo_index.embeddings.decoder.config import DecoderConfig
from echo_index.embeddings.decoder.weights import tensor_shapes
from echo_index.errors import ModelError

_WITH_PAIRED_CHANNELS = "llama"  # the architecture whose rotary pairs are adjacent in the files, not half a head apart
_GEMMA = "gemma"  # begins the names of the architectures whose gains are stored plus one in the files


class GgufTensors(Mapping[str, torch.Tensor]):
    """The tensors of the native decoder in a GGUF file, as float32.

    Only the tensor that is asked for is in memory: a model that takes 6 GB in float32 can be converted in little more
    than the memory of its largest tensor.

    Raises:
        ModelError: a tensor that the configuration needs is missing.
    """

    def __init__(self, path: Path, config: DecoderConfig) -> None:
        import gguf

        reader = gguf.GGUFReader(path)
        self._config = config
        self._architecture = str(reader.fields["general.architecture"].contents())
        stored = {tensor.name: tensor for tensor in reader.tensors}
        known = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}
        names = gguf.get_tensor_name_map(known[self._architecture], config.depth)
        self._stored = {
            name: stored[found]
            for weight in tensor_shapes(config)
            for name in (weight, f"{weight.removesuffix('weight')}bias")
            if (found := names.get_name(_public_name(name), try_suffixes=(".weight", ".bias"))) in stored
        }
        if missing := tensor_shapes(config).keys() - self._stored.keys():
            raise ModelError(f"The file {path.name} is not a complete model: the weights {min(missing)} are missing.")

    def __getitem__(self, name: str) -> torch.Tensor:
        """Return a tensor in the layout of transformers; it is dequantized each time."""
        from gguf.quants import dequantize

        stored = self._stored[name]
        values: np.ndarray = dequantize(stored.data, stored.tensor_type).astype(np.float32, copy=False)
        if self._architecture == _WITH_PAIRED_CHANNELS and name.endswith(("q_proj.weight", "k_proj.weight")):
            heads = self._config.heads if "q_proj" in name else self._config.key_value_heads
            values = values.reshape(heads, -1, 2, values.shape[1]).swapaxes(1, 2).reshape(values.shape)
        if self._architecture.startswith(_GEMMA) and name.endswith("norm.weight"):
            values = values - 1
        return torch.from_numpy(np.require(values, requirements=["C", "W"]))

    def __iter__(self) -> Iterator[str]:
        """Return the names of the tensors."""
        return iter(self._stored)

    def __len__(self) -> int:
        """Return the number of tensors."""
        return len(self._stored)


def _public_name(name: str) -> str:
    return name if name.startswith("lm_head.") else f"model.{name}"
