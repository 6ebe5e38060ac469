"""Questions that are asked at the same time are embedded together. Knows nothing of indexes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from echo_index.embeddings.vectors.vector_ops import Vectors

Encode = Callable[[Sequence[str], "str | None"], "Vectors"]
"""Questions and their instruction; returns float32 (n, dimension)."""


@dataclass(frozen=True, eq=False)
class _Asked:
    query: str
    instruction: str | None
    vector: Future[Vectors] = field(default_factory=Future)


class QueryBatcher:
    """Embeds a question at once when nothing else is embedded; what comes meanwhile goes together into the next pass.

    Nobody ever waits for company: a pass begins as soon as the one before it ends. Thread-safe.
    """

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._waiting: list[_Asked] = []
        self._adding = Lock()
        self._embedding = Lock()

    def vector(self, query: str, instruction: str | None) -> Vectors:
        """Return the vector (dimension,) of a question; what `encode` raises for it is raised here."""
        asked = _Asked(query, instruction)
        with self._adding:
            self._waiting.append(asked)
        with self._embedding:
            if not asked.vector.done():  # else another thread has done it with its own
                self._embed_all_that_wait()
        return asked.vector.result()

    def _embed_all_that_wait(self) -> None:
        with self._adding:
            taken, self._waiting = self._waiting, []
        for instruction in dict.fromkeys(asked.instruction for asked in taken):
            self._embed([asked for asked in taken if asked.instruction == instruction], instruction)

    def _embed(self, together: Sequence[_Asked], instruction: str | None) -> None:
        try:
            vectors = self._encode([asked.query for asked in together], instruction)
        except BaseException as error:  # noqa: BLE001 - raised again for the one who asked
            if len(together) == 1:
                together[0].vector.set_exception(error)
                return
            for asked in together:  # one of them must not spoil the others
                self._embed([asked], instruction)
            return
        for asked, vector in zip(together, vectors, strict=True):
            asked.vector.set_result(vector)
