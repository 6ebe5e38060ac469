"""The first layers of a model in int8, in a file in the cache: written with torch, read with torch or without it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from echo_index.embeddings.runtime.atomic_write import replace_file
from echo_index.embeddings.runtime.cache import cache_folder

if TYPE_CHECKING:
    import torch

Arrays = Mapping[str, npt.NDArray[Any]]

_FORMAT = 2
"""Part of the name of each file; incremented when a new version quantizes or stores the same weights differently."""
_CHECKSUM = "checksum"
_DTYPES = {"I8": np.int8, "F32": np.float32, "F16": np.float16, "BF16": np.uint16}


def read_int8_layers(weights_hash: str, *, layers: int = 1) -> Arrays | None:
    """Return the layers that are stored for a model, mapped into memory; None if fewer than `layers` are.

    The arrays have names such as `0.gate.values`: the number of the layer and those of `int8_tensors`; `final_gain`.
    A damaged file is removed.
    """
    for stored, path in sorted(_files(weights_hash), reverse=True):
        if stored < layers:
            break
        with suppress(OSError):
            try:
                return _verified(path)
            except (ValueError, KeyError, TypeError, AttributeError):  # whatever a damaged header causes
                path.unlink()
    return None


def write_int8_layers(weights_hash: str, layers: int, make: Callable[[], Mapping[str, torch.Tensor]]) -> None:
    """Store the first layers of a model as `make` returns them, unless they are stored already.

    A cache that cannot be written is not an error: they are written next time.
    """
    if any(stored >= layers for stored, _ in _files(weights_hash)):
        return
    with suppress(OSError):
        folder = _folder()
        folder.mkdir(exist_ok=True)
        path = folder / f"{weights_hash}-{layers}-{_FORMAT}.safetensors"
        replace_file(path, lambda unfinished: _write(unfinished, make()))
        for other in folder.glob(f"{weights_hash}-*.safetensors"):  # with fewer layers, or of an earlier version
            if other != path:
                other.unlink()


def map_arrays(path: Path) -> Arrays:
    """Return the arrays of a safetensors file, mapped into memory; its own reader copies them, and lacks bfloat16.

    uint16 stands for bfloat16, which NumPy lacks. Writing to an array changes neither the file nor other mappings.

    Raises:
        OSError, ValueError, KeyError: there is no file, or it is damaged.
    """
    header, content = _map(path)
    return {
        name: content[slice(*array["data_offsets"])].view(_DTYPES[array["dtype"]]).reshape(array["shape"])
        for name, array in header.items()
        if array.get("dtype") in _DTYPES
    }


def _map(path: Path) -> tuple[dict[str, Any], npt.NDArray[np.uint8]]:
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > path.stat().st_size:
            raise ValueError(path)
        header = json.loads(file.read(size))
    return header, np.memmap(path, mode="c", offset=8 + size)


def _files(weights_hash: str) -> Iterator[tuple[int, Path]]:
    """Yield the files of a model, each with the number of its layers."""
    for path in _folder().glob(f"{weights_hash}-*-{_FORMAT}.safetensors"):
        with suppress(ValueError, IndexError):
            yield int(path.stem.split("-")[1]), path


def _folder() -> Path:
    return cache_folder() / "queries"


def _verified(path: Path) -> Arrays:
    """Return the arrays of a file whose checksum is right.

    Raises:
        OSError, ValueError, KeyError, TypeError, AttributeError: there is no file, or it is damaged.
    """
    arrays = map_arrays(path)
    if _map(path)[0]["__metadata__"][_CHECKSUM] != _checksum(arrays):
        raise ValueError(path)
    return arrays


def _write(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    from safetensors.torch import save_file

    packed = {name: tensor.contiguous() for name, tensor in tensors.items()}
    checksum = _checksum({name: tensor.numpy() for name, tensor in packed.items()})
    save_file(packed, path, metadata={_CHECKSUM: checksum})


def _checksum(arrays: Arrays) -> str:
    """Return the sum of all 64-bit words. It takes milliseconds, where a hash would take longer than a query."""
    total = 0
    for array in arrays.values():
        content = array.reshape(-1).view(np.uint8)
        whole = len(content) // 8 * 8
        words = np.sum(content[:whole].view(np.uint64), dtype=np.uint64)
        total += int(words) + int.from_bytes(content[whole:].tobytes(), "little")
    return f"{total % (1 << 64):016x}"
