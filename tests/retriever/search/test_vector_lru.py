"""The LRU cache of vectors."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from echo_index.retriever.search.vector_lru import VectorLRU


class Embedder:
    """Returns the length of each text as its vector; records its inputs."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def __call__(self, texts: list[str]) -> npt.NDArray[np.float32]:
        self.asked.append(texts)
        return np.array([[len(text), 1] for text in texts], dtype=np.float32)


def test_only_what_is_new_is_embedded_once_and_in_one_batch() -> None:
    recent, embed = VectorLRU[str](capacity=10), Embedder()
    assert recent.get(["a", "bbb", "a"], embed).tolist() == [[1, 1], [3, 1], [1, 1]]
    assert recent.get(["cc", "a"], embed).tolist() == [[2, 1], [1, 1]]
    assert recent.get(["bbb"], embed).tolist() == [[3, 1]]
    assert embed.asked == [["a", "bbb"], ["cc"]]


def test_what_was_used_longest_ago_goes_first() -> None:
    recent, embed = VectorLRU[str](capacity=2), Embedder()
    for key in ("a", "b", "a", "c", "a", "b"):
        recent.get([key], embed)
    assert embed.asked == [["a"], ["b"], ["c"], ["b"]]
    assert recent.get(["x", "y", "z"], embed).shape == (3, 2), "more at once than are kept"


def test_threads_share_it() -> None:
    recent = VectorLRU[str](capacity=5)
    keys = [["x" * ((start + step) % 9 + 1) for step in range(4)] for start in range(200)]
    with ThreadPoolExecutor(4) as threads:
        for found, wanted in zip(threads.map(lambda some: recent.get(some, Embedder()), keys), keys, strict=True):
            assert found[:, 0].tolist() == [len(key) for key in wanted]
