"""Vectors that were asked for lately, so that what is asked again costs nothing. Knows no texts and no model."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from threading import Lock
from typing import Generic, TypeVar

import numpy as np

from echo_index.embeddings.vectors.vector_ops import Vectors

Key = TypeVar("Key", bound=Hashable)


class VectorLRU(Generic[Key]):
    """Keeps the `most` vectors that were used last. Thread-safe."""

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Key, Vectors] = OrderedDict()
        self._lock = Lock()

    def get(self, keys: Sequence[Key], embed: Callable[[list[Key]], Vectors]) -> Vectors:
        """Return the vectors (n, dimension) of at least one key; `embed` makes those that are not kept, all at once."""
        with self._lock:
            known = {key: self._kept[key] for key in keys if key in self._kept}
        if missing := [key for key in dict.fromkeys(keys) if key not in known]:
            known.update(zip(missing, embed(missing), strict=True))
        with self._lock:
            for key in keys:
                self._kept[key] = known[key]
                self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return np.stack([known[key] for key in keys])
