"""Search with int8 copies is exact: it equals a search of all rows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echo_index.embeddings.decoder import int8_search as search_module
from echo_index.embeddings.decoder import linear as linear_module
from echo_index.embeddings.decoder.int8_search import Int8ExactSearch

Rows = npt.NDArray[np.float32]


@pytest.fixture(autouse=True)
def int8_is_fast_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the int8 copies on every processor."""
    monkeypatch.setattr(linear_module, "int8_is_fast", lambda: True)


def rows(count: int, dimension: int, *, seed: int = 0, spread: float = 1.0) -> Rows:
    """Return unit rows; the smaller `spread`, the more similar they are."""
    random = np.random.default_rng(seed)
    drawn = random.normal(size=dimension) + spread * random.normal(size=(count, dimension))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def expected(table: Rows, vector: Rows, k: int) -> list[int]:
    return np.argsort(-(table.astype(np.float64) @ vector), kind="stable")[:k].tolist()


def with_copies(table: Rows) -> Int8ExactSearch:
    nearest = Int8ExactSearch(table)
    for _ in range(search_module._SEARCHES_WITHOUT):
        nearest.search(table[0], k=1)
    return nearest


def with_mean_zero(table: Rows) -> Rows:
    """Return the rows and their negatives, so that centering changes nothing."""
    return np.concatenate([table, -table])


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 400),
    dimension=st.sampled_from([4, 37, 64, 640]),
    spread=st.sampled_from([0.001, 0.1, 1.0, 10.0]),
    share=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_search_equals_brute_force(count: int, dimension: int, spread: float, share: float, seed: int) -> None:
    table, k = rows(count, dimension, seed=seed, spread=spread), 1 + int(share * (count - 1))
    nearest = with_copies(table)
    for vector in rows(3, dimension, seed=seed + 1, spread=spread):
        products = table.astype(np.float64) @ vector
        positions, found = nearest.search(vector, k=k)
        assert found == pytest.approx(np.sort(products)[::-1][:k], abs=1e-6)
        assert products[positions] == pytest.approx(found, abs=1e-6)
        assert len(set(positions.tolist())) == k


def test_rows_of_any_length_and_zero_rows_are_ranked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_module, "_BLOCK_ROWS", 100)
    table = rows(1000, 64) * np.geomspace(1e-6, 1e6, 1000, dtype=np.float32)[::-1, None]
    table[500] = 0
    nearest = with_copies(table)
    for vector in rows(5, 64, seed=1) * np.float32(100):
        positions, products = nearest.search(vector, k=1000)
        assert positions.tolist() == expected(table, vector, 1000)
        assert products == pytest.approx(table[positions].astype(np.float64) @ vector, rel=1e-3, abs=1e-9)
        assert nearest.search(vector, k=7)[0].tolist() == expected(table, vector, 7)


def test_the_rounding_error_of_rows_is_bounded() -> None:
    step, vector = np.float32(1 / 127), np.ones(64, dtype=np.float32)
    rounded_down, rounded_up = (np.full(64, part * step, dtype=np.float32) for part in (0.49, 0.51))
    rounded_up[51:] = 0
    rounded_down[0] = rounded_up[0] = 1
    nearest = with_copies(with_mean_zero(np.stack([rounded_up] * 9 + [rounded_down])))
    assert nearest.search(vector, k=1)[0].tolist() == [9]


def test_the_rounding_error_of_the_vector_is_bounded() -> None:
    vector = np.full(64, (0.49 / 127) ** 2, dtype=np.float32)  # rounds to 0 both times
    vector[:2] = 1, 0.49 / 127
    short, long = np.zeros(64, dtype=np.float32), np.ones(64, dtype=np.float32)
    short[0], long[1] = 1.0005, 0
    nearest = with_copies(with_mean_zero(np.stack([short] * 9 + [long])))
    assert nearest.search(vector, k=1)[0].tolist() == [9]


def test_equal_rows_are_ranked_in_table_order() -> None:
    table = np.repeat(rows(3, 64), 50, axis=0)
    for nearest in (Int8ExactSearch(table), with_copies(table)):
        positions = nearest.search(table[60], k=100)[0].tolist()
        assert positions[:50] == list(range(50, 100))
        assert positions[50:] in (list(range(50)), list(range(100, 150)))
        assert nearest.search(table[60], k=7)[0].tolist() == list(range(50, 57))
        assert nearest.search(table[60], k=80)[0].tolist() == positions[:80]


@pytest.mark.parametrize("spread", [4.0, 0.2])
def test_few_rows_are_read_in_float32_from_the_fifth_search_on(monkeypatch: pytest.MonkeyPatch, spread: float) -> None:
    candidate_counts: list[int] = []
    candidates = search_module._candidates

    def recorded(copies: search_module._Int8Copies, vector: Rows, k: int) -> npt.NDArray[np.int64]:
        found = candidates(copies, vector, k)
        candidate_counts.append(len(found))
        return found

    monkeypatch.setattr(search_module, "_candidates", recorded)
    table = rows(20_000, 128, spread=spread)
    nearest = Int8ExactSearch(table)
    found = [nearest.search(table[0], k=10)[0].tolist() for _ in range(5)]
    assert found == [expected(table, table[0], 10)] * 5
    assert len(candidate_counts) == 1
    assert 10 <= candidate_counts[0] < 150


def test_no_copies_are_made_where_int8_is_not_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_module, "int8_is_fast", lambda: False)
    monkeypatch.setattr(search_module, "_quantize", lambda rows: pytest.fail("copied"))
    table = rows(300, 64)
    nearest = Int8ExactSearch(table)
    for vector in rows(7, 64, seed=1):
        assert nearest.search(vector, k=20)[0].tolist() == expected(table, vector, 20)


def test_concurrent_searches_make_the_copies_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    copied = search_module._quantize
    monkeypatch.setattr(search_module, "_quantize", lambda table: (made.append(1), copied(table))[1])
    table = rows(3000, 64)
    nearest, vectors = Int8ExactSearch(table), rows(40, 64, seed=1)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda vector: nearest.search(vector, k=5)[0].tolist(), vectors))
    assert found == [expected(table, vector, 5) for vector in vectors]
    assert len(made) == 1
