"""Find the positions of chunks among the vectors of an index."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from echo_index.errors import IndexDamaged

Ids = npt.NDArray[np.int64]
Positions = npt.NDArray[np.intp]


class ChunkIds:
    """The id of the chunk at each position of an index, in any order."""

    def __init__(self, ids: Ids) -> None:
        self.values = ids
        self._by_id = np.argsort(ids, kind="stable")

    def __len__(self) -> int:
        return len(self.values)

    def positions(self, ids: npt.ArrayLike) -> Positions:
        """Return the positions (n,) of some ids.

        Raises:
            IndexDamaged: an id is not in the index.
        """
        wanted = np.asarray(ids, dtype=np.int64)
        ranks = np.searchsorted(self.values, wanted, sorter=self._by_id)
        positions = self._by_id[np.minimum(ranks, len(self) - 1)] if len(self) else ranks
        if len(wanted) and (not len(self) or not np.array_equal(self.values[positions], wanted)):
            raise IndexDamaged("The vector index lacks passages of the catalog.", remedy="See which: echo-index verify")
        return positions
