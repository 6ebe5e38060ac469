"""Join hits that are neighbours in a section of a document, so that a model reads them as one text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from echo_index.retriever.search.hits import Hit

_MAX_GAP = 8
"""Characters of white space between neighbouring chunks: the end of a paragraph and an indentation."""


def join_neighbours(hits: Sequence[Hit]) -> list[Hit]:
    """Return hits, best first, in which chunks that follow each other in one section of a document are one hit.

    Such a hit has the rank and the scores of the best of them, and the text and the place of all; what overlaps stands
    in it once.
    """
    ranks = sorted(range(len(hits)), key=lambda rank: (hits[rank].source, hits[rank].start))
    runs: list[list[int]] = [[rank] for rank in ranks[:1]]
    for before, rank in pairwise(ranks):
        if _are_neighbours(hits[before], hits[rank]):
            runs[-1].append(rank)
        else:
            runs.append([rank])
    return [_join([hits[rank] for rank in run], best=hits[min(run)]) for run in sorted(runs, key=min)]


def _are_neighbours(first: Hit, second: Hit) -> bool:
    is_next = first.start < second.start and first.end < second.end and second.start - first.end <= _MAX_GAP
    return is_next and (first.source, first.headings) == (second.source, second.headings)


def _join(hits: Sequence[Hit], *, best: Hit) -> Hit:
    """Return one hit for neighbours in the order of the document."""
    text, end = hits[0].text, hits[0].end
    for hit in hits[1:]:
        gap = hit.start - end
        text += ("\n\n" if gap > 1 else " " * gap) + hit.text[max(0, -gap) :]
        end = hit.end
    return replace(
        best,
        text=text,
        start=hits[0].start,
        end=end,
        page=hits[0].page,
        line=hits[0].line,
        duplicates=tuple(place for hit in hits for place in hit.duplicates),
    )
