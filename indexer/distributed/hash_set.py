"""Sets of hashes as sorted arrays of their first eight bytes: small, and shared by all processes of a machine.

Two hashes with the same beginning count as one. That is as good as never, and costs only that a build embeds the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Prefixes = npt.NDArray[np.uint64]

_LENGTH = 8


def prefixes(hashes: Iterable[bytes]) -> Prefixes:
    """Return the first eight bytes of hashes as numbers (n,), in their order."""
    return np.frombuffer(b"".join(hash[:_LENGTH] for hash in hashes), dtype=np.uint64)


def hash_set(hashes: Iterable[bytes]) -> Prefixes:
    """Return the set of some hashes."""
    return np.unique(prefixes(hashes))


def are_in(hashes: Sequence[bytes], known: Prefixes) -> npt.NDArray[np.bool_]:
    """Return for each hash whether it is in a set: (n,)."""
    wanted = prefixes(hashes)
    if not len(known):
        return np.zeros(len(wanted), dtype=bool)
    places = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.asarray(known[places] == wanted, dtype=bool)
