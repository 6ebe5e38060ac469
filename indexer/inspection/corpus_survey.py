"""Draw a map of the chunks of an index, and find near-duplicates and other issues in its documents."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import numpy.typing as npt

from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.indexer.catalog.chunk_queries import chunk_owners, chunk_texts, equal_chunks, evenly_spaced
from echo_index.indexer.catalog.generation_summary import document_failures
from echo_index.indexer.catalog.records import StoredChunk
from echo_index.indexer.generations.snapshot import Snapshot
from echo_index.indexer.vectors.faiss_index import principal_axes

_NEIGHBOURS = 8  # of each chunk that are compared with it
_MOST_LISTED = 200  # issues of each kind
_LEAST_SHARED = 0.5  # of the text of two near-duplicates
_ENOUGH_TEXT = re.compile(r"(?:[^\W_][\W_]*){20}|(?:[぀-ヿ㐀-鿿][\W_]*){8}")  # letters or digits; kanji say more


@dataclass(frozen=True, eq=False)
class CorpusMap:
    """Passages as points in a plane, projected on the first two principal axes of their vectors.

    `points` (n, 2) belong to `passages`, a sample of `total`. `explained_variance` is the share of the variance along
    the two axes, from 0 to 1.
    """

    passages: tuple[StoredChunk, ...]
    points: Vectors
    total: int
    explained_variance: float
    centre: Vectors = field(repr=False)
    axes: Vectors = field(repr=False)

    def project(self, vectors: Vectors) -> Vectors:
        """Return the points (m, 2) of other normalized vectors (m, dimension), such as that of a query."""
        return np.asarray((vectors - self.centre) @ self.axes, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """Two passages with nearly the same text that do not overlap; `cosine` is 1 if the texts are equal."""

    first: StoredChunk
    second: StoredChunk
    cosine: float


@dataclass(frozen=True, slots=True)
class CorpusIssues:
    """Passages and documents that a person may want to check.

    `near_duplicates` are ordered by similarity, `failed` are (path, reason) of unreadable documents, and `short` are
    passages with almost no letters or digits. Only `looked_at` of `total` passages were compared with all others for
    near-duplicates; equal texts and short passages were searched among all.
    """

    near_duplicates: tuple[NearDuplicate, ...]
    failed: tuple[tuple[str, str], ...]
    short: tuple[StoredChunk, ...]
    looked_at: int
    total: int


def map_corpus(snapshot: Snapshot, *, most: int = 1500, also: Sequence[int] = ()) -> CorpusMap:
    """Return a map of an even sample of up to `most` chunks and of the chunks `also`, ordered by id.

    The axes depend on the sample only, so the same index always has the same map.
    """
    owners = chunk_owners(snapshot.catalog, generation=snapshot.manifest.generation)
    sample = _even_sample(owners, most)
    vectors = snapshot.chunk_vectors(sample)
    centre = vectors.mean(axis=0) if len(vectors) else np.zeros(vectors.shape[1], dtype=np.float32)
    axes = principal_axes(vectors)
    spread = float(vectors.var(axis=0).sum()) if len(vectors) else 0.0
    explained = float(((vectors - centre) @ axes).var(axis=0).sum()) if axes.any() else 0.0
    visible = sorted({*sample, *np.intersect1d(owners[:, 0], np.array(also, dtype=np.int64)).tolist()})
    if len(visible) > len(sample):
        vectors = snapshot.chunk_vectors(visible)
    return CorpusMap(
        passages=_stored_chunks(snapshot, visible),
        points=np.asarray((vectors - centre) @ axes, dtype=np.float32),
        total=len(owners),
        explained_variance=explained / spread if explained else 0.0,
        centre=centre,
        axes=axes,
    )


def find_corpus_issues(snapshot: Snapshot, *, most: int = 2000, least_cosine: float = 0.9) -> CorpusIssues:
    """Find near-duplicates, unreadable documents and short chunks; a sample of up to `most` chunks is compared.

    Two chunks are near-duplicates if their cosine is at least `least_cosine` and they share most of their text, unless
    they overlap in one document.
    """
    generation = snapshot.manifest.generation
    owners = chunk_owners(snapshot.catalog, generation=generation)
    sample = _even_sample(owners, most)
    similar = islice(_similar_pairs(snapshot, sample, least_cosine), _MOST_LISTED)
    return CorpusIssues(
        near_duplicates=(*_equal_pairs(snapshot), *similar),
        failed=tuple(document_failures(snapshot.catalog, generation=generation)),
        short=_stored_chunks(snapshot, list(islice(_short_chunks(snapshot), _MOST_LISTED))),
        looked_at=len(sample),
        total=len(owners),
    )


def _even_sample(owners: npt.NDArray[np.int64], most: int) -> list[int]:
    """Return up to `most` chunk ids, ascending: the first of each document, then others at equal distances."""
    chunks, documents = owners.T
    if len(chunks) <= most:
        return [int(key) for key in chunks]
    firsts = evenly_spaced(np.sort(np.unique(documents, return_index=True)[1]), most)
    others = np.setdiff1d(np.arange(len(chunks)), firsts)
    return [int(key) for key in chunks[np.sort(np.concatenate([firsts, evenly_spaced(others, most - len(firsts))]))]]


def _similar_pairs(snapshot: Snapshot, ids: Sequence[int], least_cosine: float) -> Iterator[NearDuplicate]:
    """Yield each pair of near-duplicates with different texts once, the most similar first."""
    neighbours, cosines = snapshot.vectors.search_each(snapshot.chunk_vectors(ids), k=_NEIGHBOURS)
    rows, columns = np.nonzero((cosines >= least_cosine) & (neighbours >= 0))
    pair_ids = np.sort(np.stack([np.array(ids, dtype=np.int64)[rows], neighbours[rows, columns]], axis=1))
    cosine_by_pair = dict(zip(map(tuple, pair_ids.tolist()), cosines[rows, columns].tolist(), strict=True))
    best = sorted(cosine_by_pair.items(), key=lambda pair: (-pair[1], pair[0]))
    for block in (best[start : start + _MOST_LISTED] for start in range(0, len(best), _MOST_LISTED)):
        chunks = snapshot.catalog.chunks([identifier for pair, _ in block for identifier in pair])
        for (one, other), cosine in block:
            first, second = chunks[one], chunks[other]
            if first.chunk.text != second.chunk.text and _are_apart(first, second) and _share_text(first, second):
                yield NearDuplicate(first, second, min(1.0, cosine))


def _equal_pairs(snapshot: Snapshot) -> Iterator[NearDuplicate]:
    pairs = equal_chunks(snapshot.catalog, generation=snapshot.manifest.generation, limit=_MOST_LISTED)
    chunks = snapshot.catalog.chunks([identifier for pair in pairs for identifier in pair])
    for one, other in pairs:
        if _are_apart(chunks[one], chunks[other]):
            yield NearDuplicate(chunks[one], chunks[other], 1.0)


def _are_apart(first: StoredChunk, second: StoredChunk) -> bool:
    """Return whether two chunks are from different documents, or from one in which they do not overlap."""
    overlap = first.chunk.start < second.chunk.end and second.chunk.start < first.chunk.end
    return first.id != second.id and not (first.path == second.path and overlap)


def _share_text(first: StoredChunk, second: StoredChunk) -> bool:
    """Return whether two chunks have most of their 4-grams of characters in common.

    The cosine alone cannot tell an edited copy from another text on the same subject.
    """
    one, other = _four_grams(first.chunk.text), _four_grams(second.chunk.text)
    return len(one & other) >= _LEAST_SHARED * len(one | other)


def _four_grams(text: str) -> set[str]:
    normalized = " ".join(text.lower().split())
    return {normalized[start : start + 4] for start in range(max(1, len(normalized) - 3))}


def _short_chunks(snapshot: Snapshot) -> Iterator[int]:
    for identifier, text in chunk_texts(snapshot.catalog, generation=snapshot.manifest.generation):
        if not _ENOUGH_TEXT.search(text):
            yield identifier


def _stored_chunks(snapshot: Snapshot, ids: Sequence[int]) -> tuple[StoredChunk, ...]:
    chunks = snapshot.catalog.chunks(ids)
    return tuple(chunks[identifier] for identifier in ids)
