"""Embed texts that arrive at the same time in one batch."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from echo_index.embeddings.vectors.vector_ops import Vectors

Key = TypeVar("Key", bound=Hashable)
MAX_BATCH = 64
"""Texts of a batch. A caller with more of them waits for its turn again after each batch."""


@dataclass(frozen=True, eq=False)
class _PendingTexts(Generic[Key]):
    texts: Sequence[str]
    key: Key
    vectors: Future[Vectors] = field(default_factory=Future)


class TextBatcher(Generic[Key]):
    """Embeds texts at once if no batch is running; texts that arrive meanwhile form the next batches. Thread-safe.

    `encode` embeds texts that have the same key, such as an instruction: float32 (n, dimension). Who came first is
    first in the next batch, and nobody's texts fill it for long: a batch holds `MAX_BATCH` texts.
    """

    def __init__(self, encode: Callable[[Sequence[str], Key], Vectors]) -> None:
        self._encode = encode
        self._waiting: list[_PendingTexts[Key]] = []
        self._is_running = False
        self._changed = Condition()

    def vectors(self, texts: Sequence[str], key: Key) -> Vectors:
        """Return the vectors (n, dimension) of at least one text; an error of `encode` for them is raised here."""
        parts = [texts[start : start + MAX_BATCH] for start in range(0, len(texts), MAX_BATCH)]
        return np.concatenate([self._part(part, key) for part in parts])

    def _part(self, texts: Sequence[str], key: Key) -> Vectors:
        pending = _PendingTexts(texts, key)
        with self._changed:
            self._waiting.append(pending)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: pending.vectors.done() or not self._is_running)
                if pending.vectors.done():  # another thread embedded them in its batch
                    return pending.vectors.result()
                self._is_running, batch = True, self._next_batch()
            try:
                self._embed(batch)
            finally:
                with self._changed:
                    self._is_running = False
                    self._changed.notify_all()

    def _next_batch(self) -> list[_PendingTexts[Key]]:
        """Take from those that wait the first, and as many of the next ones with its key as fit into a batch."""
        batch: list[_PendingTexts[Key]] = []
        size = 0
        for pending in self._waiting:
            if pending.key == self._waiting[0].key:
                size += len(pending.texts)
                if batch and size > MAX_BATCH:
                    break
                batch.append(pending)
        taken = {*batch}
        self._waiting = [pending for pending in self._waiting if pending not in taken]
        return batch

    def _embed(self, batch: Sequence[_PendingTexts[Key]]) -> None:
        try:
            vectors = self._encode([text for pending in batch for text in pending.texts], batch[0].key)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread of the texts
            if len(batch) == 1:
                batch[0].vectors.set_exception(error)
                return
            for pending in batch:  # an error of one text must not fail the others
                self._embed([pending])
            return
        start = 0
        for pending in batch:
            pending.vectors.set_result(vectors[start : start + len(pending.texts)])
            start += len(pending.texts)
