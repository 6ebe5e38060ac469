"""What an index on a GPU decides on the CPU: which searches the GPU cannot do, and which id is at which position."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
import pytest
from test_approximate_index import CODES, COUNT, DIMENSION, IDS, NORMALIZATION, QUERIES, exact_among

from echo_index.indexer.catalog.vector_codes import decode_vectors
from echo_index.indexer.vectors.gpu_index import GpuIndex

DOCUMENTS = NORMALIZATION.normalize_documents(decode_vectors(CODES))


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> GpuIndex:
    """Return an index whose GPU is a flat index of the CPU, which no more results may be asked of than of a GPU."""

    class Flat:
        def __init__(self, flat: Any) -> None:
            self.flat = flat

        def search(self, queries: Any, k: int) -> Any:
            assert k <= 2048
            return self.flat.search(queries, k)

    monkeypatch.setattr(faiss, "StandardGpuResources", object, raising=False)
    monkeypatch.setattr(faiss, "index_cpu_to_gpu", lambda resources, device, flat: Flat(flat), raising=False)
    blocks = ((IDS[start : start + 900], DOCUMENTS[start : start + 900]) for start in range(0, COUNT, 900))
    return GpuIndex(blocks, dimension=DIMENSION, exact=exact_among)


def test_it_finds_what_an_exact_search_finds(index: GpuIndex) -> None:
    assert (index.kind, index.count) == ("exact", COUNT)
    for query in QUERIES:
        found, wanted = index.search(query, k=10), exact_among(IDS).search(query, k=10)
        assert {key for key, _ in found} == {key for key, _ in wanted}
        assert np.allclose([cosine for _, cosine in found], [cosine for _, cosine in wanted], atol=1e-5)


def test_filters_and_very_many_results_are_searched_on_the_cpu(index: GpuIndex) -> None:
    exact = exact_among(IDS)
    assert index.search(QUERIES[0], k=3000) == exact.search(QUERIES[0], k=3000)
    for among in (IDS[::7], IDS[:0]):
        assert index.search(QUERIES[0], k=10, among=among) == exact.search(QUERIES[0], k=10, among=among)


def test_many_queries_at_once_find_what_each_finds_alone(index: GpuIndex) -> None:
    ids, cosines = index.search_each(QUERIES, k=5)
    for query, row, scores in zip(QUERIES, ids, cosines, strict=True):
        alone = index.search(query, k=5)
        assert row.tolist() == [key for key, _ in alone]
        assert scores == pytest.approx([cosine for _, cosine in alone], abs=1e-6)
    assert index.search_each(QUERIES[:0], k=5)[0].shape == (0, 0)
    assert index.search_each(QUERIES, k=10_000)[0].shape == (len(QUERIES), 2048)


def test_vectors_of_ids_are_those_of_the_catalog(index: GpuIndex) -> None:
    assert index.vectors_of([7, 5]) == pytest.approx(DOCUMENTS[[1, 0]], abs=1e-6)
