"""All that a reader can learn from an index, in a form in which two indexes can be compared, whatever their ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from echo_index.errors import IndexMissing
from echo_index.indexer.catalog.generation_summary import document_failures, generation_counts
from echo_index.indexer.catalog.records import LexicalQuery, SearchFilter
from echo_index.indexer.generations.snapshot import open_snapshot

from .corpus import questions

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder

Passage = tuple[Any, ...]
"""Path, start, end, title, format, headings and text."""
_QUESTIONS = 100
_BEST = 10


@dataclass(frozen=True, eq=False)
class Answers:
    """The passages, in the order of their places, and what they answer.

    `vectors` (passages, dimension); `nearness` (questions, passages): the cosine of each, as search gives it;
    `matching`: of each question the positions of the passages that have its words.
    """

    passages: tuple[Passage, ...]
    vectors: npt.NDArray[np.float32]
    nearness: npt.NDArray[np.float32]
    matching: tuple[tuple[int, ...], ...]
    counts: Any
    failures: tuple[tuple[str, str], ...]
    mended: tuple[str, ...]
    """What the reader was told of damage."""


def read_answers(index_dir: Path, encoder: EchoEncoder) -> Answers | None:
    """Ask a newly opened index all questions; None where it says that there is no complete index."""
    mended: list[str] = []
    try:
        snapshot = open_snapshot(index_dir, index_device="cpu", notice=mended.append)
    except IndexMissing:
        return None
    generation = snapshot.manifest.generation
    with closing(snapshot.catalog) as catalog, snapshot.reading():
        ids = [int(key) for key in catalog.chunk_ids(SearchFilter(), generation=generation)]
        found = catalog.chunks(ids)
        order = sorted(ids, key=lambda key: _passage(found[key])[:3])
        position = {key: number for number, key in enumerate(order)}
        nearness = np.full((_QUESTIONS, len(ids)), np.nan, dtype=np.float32)
        for row, vector in zip(nearness, _question_vectors(encoder), strict=True):
            query = snapshot.normalization.normalize_query(vector)
            for key, score in snapshot.nearest(query, k=len(ids), where=SearchFilter()):
                row[position[key]] = score
        return Answers(
            passages=tuple(_passage(found[key]) for key in order),
            vectors=catalog.vectors_of(order) if order else np.empty((0, 0), dtype=np.float32),
            nearness=nearness,
            matching=tuple(
                tuple(
                    sorted(position[key] for key, _ in snapshot.matching(words, k=len(ids) + 1, where=SearchFilter()))
                )
                for words in (LexicalQuery(tuple(question.split())) for question in questions(_QUESTIONS))
            ),
            counts=(
                generation_counts(catalog, generation=generation),
                snapshot.manifest.documents,
                snapshot.manifest.chunks,
            ),
            failures=tuple(document_failures(catalog, generation=generation)),
            mended=tuple(mended),
        )


def difference(one: Answers | None, other: Answers | None, *, tolerance: float = 1e-5) -> str:
    """Return what differs first, '' where the two answer alike; vectors and cosines may differ by `tolerance`."""
    if one is None or other is None:
        return "" if one is other else f"{_size(one)} instead of {_size(other)}"
    if one.mended:
        return f"damage that was mended: {one.mended[0]}"
    doubled = [place for place, times in Counter(passage[:3] for passage in one.passages).items() if times > 1]
    if doubled:
        return f"{len(doubled)} passages are there twice, first {doubled[0]}"
    if one.passages != other.passages:
        more, less = {*one.passages} - {*other.passages}, {*other.passages} - {*one.passages}
        return f"{len(more)} passages too many and {len(less)} too few, such as {sorted(more | less)[0][:3]}"
    if (one.counts, one.failures) != (other.counts, other.failures):
        return f"counts and failures {one.counts, one.failures} instead of {other.counts, other.failures}"
    if not np.allclose(one.vectors, other.vectors, atol=tolerance):
        return f"vectors, by up to {np.abs(one.vectors - other.vectors).max()}"
    if not np.allclose(one.nearness, other.nearness, atol=tolerance):
        return f"cosines, by up to {np.abs(one.nearness - other.nearness).max()}"
    for number in range(_QUESTIONS):
        if not _is_ranking_of(_best(one.nearness[number]), other.nearness[number], tolerance):
            return f"the best {_BEST} for question {number}"
    return "" if one.matching == other.matching else "what the words of a question find"


def _best(cosines: npt.NDArray[np.float32]) -> Sequence[int]:
    return [int(position) for position in np.argsort(-cosines, kind="stable")[:_BEST]]


def _is_ranking_of(best: Sequence[int], cosines: npt.NDArray[np.float32], tolerance: float) -> bool:
    """Return whether these positions are the best by the cosines, in order; equal ones in any order."""
    ranked = np.sort(cosines)[::-1][: len(best)]
    return bool(np.allclose(cosines[list(best)], ranked, atol=2 * tolerance))


def _passage(found: Any) -> Passage:
    chunk = found.chunk
    return (found.path, chunk.start, chunk.end, found.title, found.format, chunk.headings, chunk.text)


def _size(answers: Answers | None) -> str:
    return "no complete index" if answers is None else f"{len(answers.passages)} passages"


@cache
def _question_vectors(encoder: EchoEncoder) -> npt.NDArray[np.float32]:
    return encoder.encode_queries(questions(_QUESTIONS))
