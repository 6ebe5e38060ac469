"""Layers in int8 in the cache: the same numbers as without, made again when damaged, and never in the way."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import llama_config, save_model

from echo_index.embeddings.decoder import int8_layers, smoothquant
from echo_index.embeddings.decoder.int8_layers import read_int8_layers, write_int8_layers
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.model_loading import load_model
from echo_index.embeddings.queries.query_weights import write_query_weights
from echo_index.embeddings.runtime.cache import cache_folder

TEXTS = ["Seven wizards quietly judge my vow.", "a", "The quick brown fox jumps over the lazy dog. " * 9]
HASH = "ab" * 32


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECHO_INDEX_CACHE", str(tmp_path / "cache"))


def layers(count: int) -> dict[str, torch.Tensor]:
    """Return tensors of some layers, with values of 9 bytes: no whole number of 64-bit words."""
    values = torch.arange(9, dtype=torch.int8).reshape(3, 3)
    return {f"{number}.gate.{part}": value for number in range(count) for part, value in _parts(values + number)}


def _parts(values: torch.Tensor) -> list[tuple[str, torch.Tensor]]:
    return [("values", values), ("scales", torch.ones(3))]


def stored(layers_wanted: int = 1) -> int:
    """Return the number of arrays that are stored."""
    return len(read_int8_layers(HASH, layers=layers_wanted) or {})


def files() -> list[Path]:
    return sorted((cache_folder() / "queries").glob("*"))


def test_what_was_written_is_read() -> None:
    assert read_int8_layers(HASH) is None
    write_int8_layers(HASH, 2, lambda: layers(2))
    found = read_int8_layers(HASH, layers=2)
    assert found is not None
    assert found.keys() == layers(2).keys()
    for name, tensor in layers(2).items():
        assert np.array_equal(found[name], tensor.numpy())
    assert read_int8_layers(HASH, layers=3) is None
    assert read_int8_layers("cd" * 32) is None


def test_a_file_with_more_layers_takes_the_place_of_one_with_fewer_and_of_earlier_versions() -> None:
    (cache_folder() / "queries").mkdir()
    (cache_folder() / "queries" / f"{HASH}-2-1.safetensors").write_bytes(b"an earlier version")
    write_int8_layers(HASH, 1, lambda: layers(1))
    write_int8_layers(HASH, 3, lambda: layers(3))
    write_int8_layers(HASH, 2, lambda: pytest.fail("three are stored"))
    assert [file.name for file in files()] == [f"{HASH}-3-{int8_layers._FORMAT}.safetensors"]
    assert stored(2) == 6


def _flip(content: bytearray) -> None:
    content[-20] ^= 4


def _clear_end(content: bytearray) -> None:
    content[-9:] = bytes(9)


def _break_header(content: bytearray) -> None:
    content[9] ^= 4


def _truncate(content: bytearray) -> None:
    del content[-3:]


def _empty(content: bytearray) -> None:
    content.clear()


@pytest.mark.parametrize("damage", [_flip, _clear_end, _break_header, _truncate, _empty])
def test_a_damaged_file_is_removed_and_made_again(damage: Callable[[bytearray], None]) -> None:
    write_int8_layers(HASH, 2, lambda: layers(2))
    [file] = files()
    content = bytearray(file.read_bytes())
    damage(content)
    file.write_bytes(content)
    assert stored() == 0
    assert files() == []
    write_int8_layers(HASH, 2, lambda: layers(2))
    assert stored() == 4


def test_a_cache_that_cannot_be_written_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, write: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(int8_layers, "replace_file", fail)
        write_int8_layers(HASH, 1, lambda: layers(1))
    assert stored() == 0
    write_int8_layers(HASH, 1, lambda: layers(1))
    assert stored() == 2


def test_a_damaged_file_that_cannot_be_removed_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    write_int8_layers(HASH, 1, lambda: layers(1))
    files()[0].write_bytes(b"damaged")

    def fail(path: Path) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(Path, "unlink", fail)
    assert stored() == 0


def test_writing_at_once_is_safe() -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda count: write_int8_layers(HASH, count, lambda: layers(count)), [1, 2, 3, 1, 2, 3, 2, 1]))
    assert stored() in (2, 4, 6)
    assert not [file for file in files() if file.suffix != ".safetensors"]


def test_vectors_from_stored_layers_are_equal_and_nothing_is_quantized(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(save_model(tmp_path / "model", llama_config(), seed=5))
    encoder = EchoEncoder(load_model(folder, device="cpu"), precision="int8", layer=2)
    expected, deeper = encoder.encode_queries(TEXTS), encoder.with_options(layer=4).encode_queries(TEXTS)
    write_query_weights(encoder)
    del encoder
    smoothed: list[int] = []
    smooth = smoothquant.Smoothing.apply_to
    monkeypatch.setattr(
        smoothquant.Smoothing, "apply_to", lambda self, weights: (smoothed.append(1), smooth(self, weights))[1]
    )
    from_cache = EchoEncoder(load_model(folder, device="cpu"), precision="int8", layer=2)
    assert np.array_equal(from_cache.encode_queries(TEXTS), expected)
    assert not smoothed
    assert np.array_equal(from_cache.with_options(layer=4).encode_queries(TEXTS), deeper)
    assert len(smoothed) == 2, "the two layers that are not stored"
