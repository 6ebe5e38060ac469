"""Embed queries that arrive at the same time in one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from echo_index.embeddings.vectors.vector_ops import Vectors

Encode = Callable[[Sequence[str], "str | None"], "Vectors"]
"""Embeds queries with one instruction: float32 (n, dimension)."""


@dataclass(frozen=True, eq=False)
class _PendingQuery:
    query: str
    instruction: str | None
    vector: Future[Vectors] = field(default_factory=Future)


class QueryBatcher:
    """Embeds a query at once if no batch is running; queries that arrive meanwhile form the next batch. Thread-safe."""

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._waiting: list[_PendingQuery] = []
        self._waiting_lock = Lock()
        self._encoder_lock = Lock()

    def vector(self, query: str, instruction: str | None) -> Vectors:
        """Return the vector (dimension,) of a query; an error of `encode` for this query is raised here."""
        pending = _PendingQuery(query, instruction)
        with self._waiting_lock:
            self._waiting.append(pending)
        with self._encoder_lock:
            if not pending.vector.done():  # else another thread embedded it in its batch
                self._embed_waiting()
        return pending.vector.result()

    def _embed_waiting(self) -> None:
        with self._waiting_lock:
            batch, self._waiting = self._waiting, []
        for instruction in dict.fromkeys(pending.instruction for pending in batch):
            self._embed([pending for pending in batch if pending.instruction == instruction], instruction)

    def _embed(self, batch: Sequence[_PendingQuery], instruction: str | None) -> None:
        try:
            vectors = self._encode([pending.query for pending in batch], instruction)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread of the query
            if len(batch) == 1:
                batch[0].vector.set_exception(error)
                return
            for pending in batch:  # an error of one query must not fail the others
                self._embed([pending], instruction)
            return
        for pending, vector in zip(batch, vectors, strict=True):
            pending.vector.set_result(vector)
