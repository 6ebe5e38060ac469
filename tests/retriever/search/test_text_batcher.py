"""Texts that arrive at the same time are embedded together, and nobody waits for all of another's."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.errors import TextError
from echo_index.retriever.search.text_batcher import MAX_BATCH, TextBatcher


class SlowEncoder:
    """Embeds each text as its length; every batch waits for `go_on`."""

    def __init__(self) -> None:
        self.batches: list[tuple[tuple[str, ...], str | None]] = []
        self.began, self.go_on = threading.Event(), threading.Event()

    def encode(self, texts: Sequence[str], key: str | None) -> Vectors:
        self.batches.append((tuple(texts), key))
        self.began.set()
        assert self.go_on.wait(20)
        if "bad" in texts:
            raise TextError("bad text")
        return np.array([[len(text)] for text in texts], dtype=np.float32)


def test_texts_that_wait_are_batched_by_their_key_and_a_single_one_does_not_wait() -> None:
    encoder = SlowEncoder()
    batcher: TextBatcher[str | None] = TextBatcher(encoder.encode)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(batcher.vectors, ["a"], None)
        assert encoder.began.wait(20)
        others = [pool.submit(batcher.vectors, texts, key) for texts, key in ((["bb", "b"], None), (["ccc"], None))]
        another = pool.submit(batcher.vectors, ["dddd"], "task")
        bad = pool.submit(batcher.vectors, ["bad"], None)
        while len(batcher._waiting) < 4:
            pass
        encoder.go_on.set()
        found = [result.result(20).tolist() for result in (first, *others, another)]
        assert found == [[[1]], [[2], [1]], [[3]], [[4]]]
        with pytest.raises(TextError, match="bad text"):
            bad.result(20)
    assert encoder.batches[0] == (("a",), None), "it did not wait for others"
    assert ["b", "bad", "bb", "ccc"] in [sorted(texts) for texts, _ in encoder.batches]
    assert (("dddd",), "task") in encoder.batches


def test_a_caller_with_many_texts_lets_others_in_between() -> None:
    encoder = SlowEncoder()
    batcher: TextBatcher[str | None] = TextBatcher(encoder.encode)
    many = ["x" * (number % 7) for number in range(3 * MAX_BATCH)]
    with ThreadPoolExecutor(2) as pool:
        large = pool.submit(batcher.vectors, many, None)
        assert encoder.began.wait(20)
        small = pool.submit(batcher.vectors, ["between"], None)
        while not batcher._waiting:
            pass
        encoder.go_on.set()
        assert small.result(20).tolist() == [[7]]
        assert large.result(20).ravel().tolist() == [len(text) for text in many]
    assert all(len(texts) <= MAX_BATCH for texts, _ in encoder.batches)
    batch_with_small = next(number for number, (texts, _) in enumerate(encoder.batches) if "between" in texts)
    assert batch_with_small == 1, "it did not wait for the other two thirds"
