"""What there is in an index as a whole: a map of its passages, and what is odd in it. Knows no model or question."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import numpy.typing as npt

from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.indexer.catalog.chunk_queries import chunk_owners, chunk_texts, equal_chunks, evenly_spaced
from echo_index.indexer.catalog.records import StoredChunk
from echo_index.indexer.generations.snapshot import Snapshot
from echo_index.indexer.vectors.faiss_index import principal_axes

_NEIGHBOURS = 8  # of each passage are looked at for near-duplicates
_MOST_LISTED = 200  # of each kind of oddity
_LEAST_SHARED = 0.5  # of the text of two near-duplicates
_SAYS_SOMETHING = re.compile(r"(?:[^\W_][\W_]*){20}|(?:[぀-ヿ㐀-鿿][\W_]*){8}")  # letters or digits; kanji say more


@dataclass(frozen=True, eq=False)
class CorpusMap:
    """Passages as points in a plane: like passages lie near each other, as far as two axes can show it.

    `points` (n, 2) are those of `passages`; `total` is the number of passages in the index; `explained` is the share of
    the variance that the two axes hold, from 0 to 1.
    """

    passages: tuple[StoredChunk, ...]
    points: Vectors
    total: int
    explained_variance: float
    centre: Vectors = field(repr=False)
    axes: Vectors = field(repr=False)

    def project(self, vectors: Vectors) -> Vectors:
        """Return the points (m, 2) of further centred unit vectors (m, dimension), such as a question's."""
        return np.asarray((vectors - self.centre) @ self.axes, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """Two passages in different places that say nearly the same; `cosine` is 1 where they say the same."""

    first: StoredChunk
    second: StoredChunk
    cosine: float


@dataclass(frozen=True, slots=True)
class CorpusIssues:
    """What a person may want to look at.

    `near_duplicates`: best first; `failed`: (path, reason) of the documents that could not be read; `short`: passages
    that hold next to no letters and digits. `looked_at` passages of `total` were compared with all the others; equal
    texts and short passages were looked for among all.
    """

    near_duplicates: tuple[NearDuplicate, ...]
    failed: tuple[tuple[str, str], ...]
    short: tuple[StoredChunk, ...]
    looked_at: int
    total: int


def map_corpus(snapshot: Snapshot, *, most: int = 1500, also: Sequence[int] = ()) -> CorpusMap:
    """Return a map of up to `most` passages from all over the index, and of the chunks `also`, in the index's order.

    The axes come from the sample alone: the same index has the same map, whatever is shown besides.
    """
    owners = chunk_owners(snapshot.catalog, generation=snapshot.manifest.generation)
    sample = _even_sample(owners, most)
    vectors = snapshot.compared_chunks(sample)
    centre = vectors.mean(axis=0) if len(vectors) else np.zeros(vectors.shape[1], dtype=np.float32)
    axes = principal_axes(vectors)
    spread = float(vectors.var(axis=0).sum()) if len(vectors) else 0.0
    held = float(((vectors - centre) @ axes).var(axis=0).sum()) if axes.any() else 0.0
    visible = sorted({*sample, *np.intersect1d(owners[:, 0], np.array(also, dtype=np.int64)).tolist()})
    if len(visible) > len(sample):
        vectors = snapshot.compared_chunks(visible)
    return CorpusMap(
        passages=_found(snapshot, visible),
        points=np.asarray((vectors - centre) @ axes, dtype=np.float32),
        total=len(owners),
        explained_variance=held / spread if held else 0.0,
        centre=centre,
        axes=axes,
    )


def find_corpus_issues(snapshot: Snapshot, *, most: int = 2000, least_cosine: float = 0.9) -> CorpusIssues:
    """Return what is odd in an index; up to `most` passages from all over it are compared with all the others.

    Two passages are near-duplicates if their cosine is `least_cosine` at least and most of their text is the same,
    unless they overlap in one document.
    """
    generation = snapshot.manifest.generation
    owners = chunk_owners(snapshot.catalog, generation=generation)
    looked_at = _even_sample(owners, most)
    alike = islice(_alike(snapshot, looked_at, least_cosine), _MOST_LISTED)
    return CorpusIssues(
        near_duplicates=(*_equal(snapshot), *alike),
        failed=tuple(snapshot.catalog.failures(generation=generation)),
        short=_found(snapshot, list(islice(_short(snapshot), _MOST_LISTED))),
        looked_at=len(looked_at),
        total=len(owners),
    )


def _even_sample(owners: npt.NDArray[np.int64], most: int) -> list[int]:
    """Return up to `most` chunk ids, ascending: one of each document as far as that goes, the rest evenly spread."""
    chunks, documents = owners.T
    if len(chunks) <= most:
        return [int(key) for key in chunks]
    firsts = np.unique(documents, return_index=True)[1]
    firsts = evenly_spaced(np.sort(firsts), most)
    others = np.setdiff1d(np.arange(len(chunks)), firsts)
    return [int(key) for key in chunks[np.sort(np.concatenate([firsts, evenly_spaced(others, most - len(firsts))]))]]


def _alike(snapshot: Snapshot, ids: Sequence[int], least_cosine: float) -> Iterator[NearDuplicate]:
    """Yield the pairs of near passages, each once, that share most of their text but not all."""
    neighbours, cosines = snapshot.vectors.search_each(snapshot.compared_chunks(ids), k=_NEIGHBOURS)
    rows, columns = np.nonzero((cosines >= least_cosine) & (neighbours >= 0))
    ends = np.sort(np.stack([np.array(ids, dtype=np.int64)[rows], neighbours[rows, columns]], axis=1))
    near = dict(zip(map(tuple, ends.tolist()), cosines[rows, columns].tolist(), strict=True))
    best = sorted(near.items(), key=lambda pair: (-pair[1], pair[0]))
    for block in (best[start : start + _MOST_LISTED] for start in range(0, len(best), _MOST_LISTED)):
        found = snapshot.catalog.chunks([key for pair, _ in block for key in pair])
        for (one, other), cosine in block:
            first, second = found[one], found[other]
            if first.chunk.text != second.chunk.text and _apart(first, second) and _share_text(first, second):
                yield NearDuplicate(first, second, min(1.0, cosine))


def _equal(snapshot: Snapshot) -> Iterator[NearDuplicate]:
    pairs = equal_chunks(snapshot.catalog, generation=snapshot.manifest.generation, limit=_MOST_LISTED)
    found = snapshot.catalog.chunks([key for pair in pairs for key in pair])
    for one, other in pairs:
        if _apart(found[one], found[other]):
            yield NearDuplicate(found[one], found[other], 1.0)


def _apart(first: StoredChunk, second: StoredChunk) -> bool:
    """Whether two passages are of different documents, or do not overlap in the one that they are of."""
    overlap = first.chunk.start < second.chunk.end and second.chunk.start < first.chunk.end
    return first.id != second.id and not (first.path == second.path and overlap)


def _share_text(first: StoredChunk, second: StoredChunk) -> bool:
    """Whether most of two passages is the same: what is merely about the same thing can be as near as a changed copy.

    By runs of four characters, which every script has.
    """
    one, other = _runs(first.chunk.text), _runs(second.chunk.text)
    return len(one & other) >= _LEAST_SHARED * len(one | other)


def _runs(text: str) -> set[str]:
    plain = " ".join(text.lower().split())
    return {plain[start : start + 4] for start in range(max(1, len(plain) - 3))}


def _short(snapshot: Snapshot) -> Iterator[int]:
    for identifier, text in chunk_texts(snapshot.catalog, generation=snapshot.manifest.generation):
        if not _SAYS_SOMETHING.search(text):
            yield identifier


def _found(snapshot: Snapshot, ids: Sequence[int]) -> tuple[StoredChunk, ...]:
    found = snapshot.catalog.chunks(ids)
    return tuple(found[identifier] for identifier in ids)
