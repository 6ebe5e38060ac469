"""On a CUDA device: the same vectors and the same neighbours as on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from echo_index.embeddings.decoder.linear import Precision
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.generation.text_generation import generate
from echo_index.embeddings.gpu.decoder_check import decoder_agrees
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.model_loading import load_model
from echo_index.indexer.catalog.vector_codes import encode_vectors
from echo_index.indexer.vectors.device_choice import choose_placement
from echo_index.indexer.vectors.exact_index import ExactIndex
from echo_index.indexer.vectors.gpu_index import GpuIndex
from echo_index.indexer.vectors.normalization import VectorNormalization

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]

TEXTS = [
    "The cat sleeps on the mat.",
    "x",
    "Invoices are due within thirty days of delivery. " * 4,
    "東京は日本の首都です。",
]


def random_index(count: int, dimension: int) -> tuple[ExactIndex, GpuIndex, np.ndarray]:
    """Return an index over random unit vectors on the CPU, one of the same on the GPU, and the vectors."""
    vectors = np.random.default_rng(0).normal(size=(count, dimension)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = np.arange(count, dtype=np.int64) * 3 + 1
    codes = np.frombuffer(b"".join(encode_vectors(vectors, [b""] * count)), dtype=np.uint8).reshape(count, -1)
    identity = VectorNormalization.identity(dimension, count)

    def exact(wanted: np.ndarray) -> ExactIndex:
        return ExactIndex(wanted, codes[(wanted - 1) // 3], identity)

    assert choose_placement("gpu").device == "gpu"
    return exact(ids), GpuIndex([(ids, vectors)], dimension=dimension, exact=exact), vectors


def test_auto_takes_the_gpu() -> None:
    assert choose_placement("auto").device == "gpu"


def test_vectors_of_a_tiny_model_agree_at_every_layer(tiny_folder: Path, tiny_model: LanguageModel) -> None:
    model = load_model(str(tiny_folder), device="cuda")
    for layer in (1, 2, 3, 4):
        for pooling in ("mean", "last"):
            here = EchoEncoder(model, layer=layer, pooling=pooling).encode_documents(TEXTS)
            there = EchoEncoder(tiny_model, layer=layer, pooling=pooling).encode_documents(TEXTS)
            assert (here * there).sum(axis=1).min() > 1 - 1e-3


@pytest.mark.model
def test_vectors_of_the_default_model_agree(gemma: LanguageModel) -> None:
    model = load_model("gemma3-270m", device="auto")
    assert model.device.name == "cuda"
    here, there = EchoEncoder(model), EchoEncoder(gemma)
    assert (here.encode_documents(TEXTS) * there.encode_documents(TEXTS)).sum(axis=1).min() > 1 - 1e-3
    assert (here.encode_queries(TEXTS) * there.encode_queries(TEXTS)).sum(axis=1).min() > 1 - 1e-3
    assert here.fingerprint == there.fingerprint  # an index moves between machines


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16])
def test_the_packed_decoder_embeds_as_transformers_does(tiny_folder: Path, precision: Precision) -> None:
    model = load_model(str(tiny_folder), device="cuda")
    assert decoder_agrees(model, precision)
    assert EchoEncoder(model, precision=precision)._extractor._decoder is not None
    assert model.decoder(precision).device.type == "cuda"


@pytest.mark.model
def test_the_default_model_runs_in_bfloat16(gemma: LanguageModel) -> None:
    encoder = EchoEncoder(load_model("gemma3-270m", device="cuda"), precision="bf16")
    assert decoder_agrees(encoder.model, Precision.BF16)
    found, expected = encoder.encode_documents(TEXTS), EchoEncoder(gemma).encode_documents(TEXTS)
    assert (found * expected).sum(axis=1).min() > 0.99


def test_a_batch_that_the_memory_has_no_room_for_is_halved(tiny_folder: Path) -> None:
    model = load_model(str(tiny_folder), device="cuda")
    texts = [f"{text} {number}" for number in range(200) for text in TEXTS]
    expected = EchoEncoder(model).encode_documents(texts)
    total = torch.cuda.mem_get_info()[1]
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 24 * 2**20) / total)
    try:
        found = EchoEncoder(model, batch_tokens=10**6).encode_documents(texts)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert (found * expected).sum(axis=1).min() > 1 - 1e-4


def test_batch_neighbours_do_not_change_a_vector_on_the_gpu(tiny_folder: Path) -> None:
    encoder = EchoEncoder(load_model(str(tiny_folder), device="cuda"))
    together = encoder.encode_documents(TEXTS)
    for text, vector in zip(TEXTS, together, strict=True):
        assert 1 - float(encoder.encode_documents([text])[0] @ vector) <= 1e-5


def test_a_model_on_the_gpu_writes(tiny_folder: Path) -> None:
    model = load_model(str(tiny_folder), device="cuda")
    assert "".join(generate(model, model.tokenizer.encode("The quick brown"), max_tokens=10))


def test_the_gpu_finds_the_same() -> None:
    cpu, gpu, vectors = random_index(20_000, 64)
    for query in vectors[:20]:
        expected, found = cpu.search(query, k=10), gpu.search(query, k=10)
        assert [chunk for chunk, _ in found] == [chunk for chunk, _ in expected]
        assert np.allclose([score for _, score in found], [score for _, score in expected], atol=1e-2)  # 8 bits


def test_a_filtered_search_keeps_its_filter_on_the_gpu() -> None:
    cpu, gpu, vectors = random_index(5_000, 64)
    among = np.array([1, 301, 3001], dtype=np.int64)
    assert gpu.search(vectors[0], k=10, among=among) == cpu.search(vectors[0], k=10, among=among)


def test_more_than_there_is_gives_what_there_is_on_the_gpu() -> None:
    _, gpu, vectors = random_index(7, 64)
    assert len(gpu.search(vectors[0], k=100)) == 7


def test_more_results_than_the_kernels_can_give_come_from_the_cpu() -> None:
    _, gpu, vectors = random_index(5_000, 64)
    assert len(gpu.search(vectors[0], k=3_000)) == 3_000
