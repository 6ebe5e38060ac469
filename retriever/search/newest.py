"""Read one generation of an index from beginning to end, while builds may delete it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from echo_index.errors import IndexDamaged
from echo_index.indexer.stores.search_space import SearchSpace

S = TypeVar("S", bound=SearchSpace)
T = TypeVar("T")


def read_newest(newest: Callable[[], S], act: Callable[[S], T]) -> T:
    """Return `act(newest())`, so that all it reads of an index is of one generation.

    If builds delete that generation meanwhile, `act` is called again with the newest.

    Raises:
        IndexDamaged: the newest generation cannot be read.
    """
    while True:
        space = newest()
        try:
            with space.reading():
                return act(space)
        except IndexDamaged:
            if space.is_newest():
                raise
