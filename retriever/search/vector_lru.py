"""A least-recently-used cache of vectors that computes missing ones in one batch."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from threading import Lock
from typing import Generic, TypeVar

import numpy as np
from cachetools import LRUCache

from echo_index.embeddings.vectors.vector_ops import Vectors

Key = TypeVar("Key", bound=Hashable)


class VectorLRU(Generic[Key]):
    """Cache the `capacity` vectors that were used last. Thread-safe."""

    def __init__(self, *, capacity: int) -> None:
        self._cache: LRUCache[Key, Vectors] = LRUCache(capacity)
        self._lock = Lock()

    def get(self, keys: Sequence[Key], embed: Callable[[list[Key]], Vectors]) -> Vectors:
        """Return the vectors (n, dimension) of at least one key; `embed` computes all missing ones in one call."""
        with self._lock:
            known = {key: self._cache[key] for key in keys if key in self._cache}
        if missing := [key for key in dict.fromkeys(keys) if key not in known]:
            known.update(zip(missing, embed(missing), strict=True))
        with self._lock:
            for key in keys:
                self._cache[key] = known[key]
        return np.stack([known[key] for key in keys])
