"""Join hits that are neighbours in a section of a document, so that a model reads them as one text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from echo_index.indexer.documents.chunking import Anchor
from echo_index.indexer.documents.document import Recognition
from echo_index.indexer.documents.joining import join_pieces
from echo_index.retriever.search.hits import Hit

_MAX_GAP = 8
"""Characters of white space between neighbouring chunks: the end of a paragraph and an indentation."""


def join_neighbours(hits: Sequence[Hit]) -> list[Hit]:
    """Return hits, best first, in which chunks that follow each other in one section of a document are one hit.

    Such a hit has the rank and the scores of the best of them, and the text and the place of all; what overlaps stands
    in it once.
    """
    ranks = sorted(range(len(hits)), key=lambda rank: (*_place(hits[rank]), hits[rank].start))
    runs: list[list[int]] = [[rank] for rank in ranks[:1]]
    for before, rank in pairwise(ranks):
        if _are_neighbours(hits[before], hits[rank]):
            runs[-1].append(rank)
        else:
            runs.append([rank])
    return [join_hits([hits[rank] for rank in run], best=hits[min(run)]) for run in sorted(runs, key=min)]


def join_hits(hits: Sequence[Hit], *, best: Hit) -> Hit:
    """Return one hit for chunks of a document in its order, with the rank and the scores of the best of them."""
    first = hits[0]
    sentence = best.sentence
    if sentence is not None:
        moved = best.start - first.start
        sentence = (sentence[0] + moved, sentence[1] + moved)
    return replace(
        best,
        text=join_pieces(hits, start=first.start, line=first.line or 1),
        start=first.start,
        end=hits[-1].end,
        page=first.page,
        line=first.line,
        place=first.place,
        table_header=first.table_header,
        anchors=_join_anchors(hits),
        sentence=sentence,
        recognition=_join_recognitions(hits),
        duplicates=tuple(place for hit in hits for place in hit.duplicates),
    )


def _join_recognitions(hits: Sequence[Hit]) -> Recognition | None:
    """Return the mean confidence of the recognized hits by their length, and all uncertain words once."""
    recognized = [(hit, hit.recognition) for hit in hits if hit.recognition]
    if not recognized:
        return None
    length = sum(len(hit.text) for hit, _ in recognized) or 1
    confidence = sum(len(hit.text) * recognition.confidence for hit, recognition in recognized) / length
    spans = {span for hit, found in recognized for span in found.moved(hit.start - hits[0].start).uncertain}
    return Recognition(confidence, tuple(sorted(spans)))


def _join_anchors(hits: Sequence[Hit]) -> tuple[Anchor, ...]:
    """Return the anchors of all hits, with one for the start of each but the first."""
    anchors = {anchor.offset: anchor for hit in hits for anchor in hit.anchors}
    for hit in hits[1:]:
        begins = hit.at((0, 0)).location
        anchors.setdefault(hit.start, Anchor(hit.start, begins.page, begins.place, begins.headings))
    return tuple(anchors[offset] for offset in sorted(anchors))


def _are_neighbours(first: Hit, second: Hit) -> bool:
    is_next = first.start < second.start and first.end < second.end and second.start - first.end <= _MAX_GAP
    return is_next and (_place(first), first.headings) == (_place(second), second.headings)


def _place(hit: Hit) -> tuple[str, str]:
    """Return the collection and the path of the document of a hit."""
    return hit.collection, hit.source
