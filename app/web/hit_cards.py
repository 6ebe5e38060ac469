"""Show hits as cards: title, location, reasons for the match, and the passage with its best sentence marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from echo_index.app.services.formatting import (
    MAX_DUPLICATES,
    MatchReason,
    document_name,
    duplicate_text,
    heading_path,
    location_text,
    match_reasons,
    recognition_text,
    source_text,
)
from echo_index.app.web.html import attributes, button, escape_html, notice
from echo_index.app.web.passage_data import passage_data
from echo_index.app.web.rendering.passages import passage_html

if TYPE_CHECKING:
    from echo_index.app.services.index_service import IndexService
    from echo_index.retriever.search.hits import Hit

Place = tuple[str, str, int]
"""The collection, the document and the offset in it of a passage."""

_PASSAGES_BEFORE = 12
_NO_HITS_REMEDY = "Try other words, search by meaning instead of by words, or remove a filter."


def hit_cards(
    hits: Sequence[Hit],
    *,
    similar: bool = True,
    nothing: str = "Nothing was found.",
    texts_before: Mapping[Place, str] = MappingProxyType({}),
) -> str:
    """Return hits as cards, best first, and the text `nothing` if there are none.

    `texts_before` are texts of documents that end where the passages begin, as far as they are known.
    """
    if not hits:
        return notice(nothing, remedy=_NO_HITS_REMEDY, kind="empty")
    best = max(hit.score for hit in hits)
    cards = (
        hit_card(
            hit,
            number=number,
            strength=hit.score / best if best > 0 else 0.0,
            similar=similar,
            text_before=texts_before.get((hit.collection, hit.source, hit.start), ""),
        )
        for number, hit in enumerate(hits, start=1)
    )
    return f'<ol class="hits">{"".join(cards)}</ol>'


def texts_before_hits(service: IndexService, hits: Sequence[Hit]) -> dict[Place, str]:
    """Return the text before each hit in Markdown, which may begin in a list, a table or fenced code."""
    from echo_index.indexer.inspection.document_queries import texts_before

    found: dict[Place, str] = {}
    for collection in dict.fromkeys(hit.collection for hit in hits):
        places = [
            (hit.source, hit.start)
            for hit in hits
            if hit.collection == collection and hit.format == "markdown" and hit.start
        ]
        texts = service.with_reader(
            partial(texts_before, places=places, passages=_PASSAGES_BEFORE), collection=collection
        )
        found |= {(collection, *place): text for place, text in texts.items()}
    return found


def hit_card(
    hit: Hit,
    *,
    number: int,
    strength: float | None = None,
    similar: bool = True,
    kinds: Sequence[str] = (),
    text_before: str = "",
) -> str:
    """Return one card; `strength` is the score relative to the best one, `kinds` are of "cited" and "here".

    `text_before` is text of the document that ends where the passage begins.
    """
    position = passage_data(hit.source, hit.start, collection=hit.collection)
    page = {"page": hit.location.page} if hit.location.page else {}
    name = document_name(hit.source, hit.collection)
    actions = [
        button("Open", "open", title=f"Open {name} at this passage", **position, **page),
        button("Copy citation", "copy", title="Copy this passage with its source", text=citation_text(hit)),
    ]
    if similar:
        actions.append(button("More like this", "similar", title="Find passages similar to this one", **position))
    return (
        f'<li class="{" ".join(("hit", *kinds))}" {attributes(**position)}>'
        f'<div class="hit-head"><span class="number" aria-hidden="true">{number}</span>'
        f'<h3 dir="auto">{heading_html(hit)}</h3></div>'
        f'<p class="place" dir="ltr">{escape_html(location_text(hit.location))}</p>'
        f"{_reasons(hit, strength)}{passage_html(hit, text_before=text_before)}{_duplicates(hit)}"
        f'<p class="actions">{"".join(actions)}</p></li>'
    )


def heading_html(hit: Hit) -> str:
    """Return the title and headings of a hit as HTML."""
    from echo_index.indexer.documents.chunking import title_path

    title, *rest = title_path(hit.title, hit.location.headings) or (hit.source,)
    path = "".join(f'<span class="crumb"> › {escape_html(name)}</span>' for name in rest)
    return f"{escape_html(title)}{path}"


def citation_text(hit: Hit) -> str:
    """Return the citation to copy: the answering sentence, the headings and the location."""
    quoted = " ".join(hit.text[slice(*hit.sentence)].split()) if hit.sentence else ""
    source = f"{heading_path(hit.title, hit.location.headings)} ({source_text(hit)})"
    return f"“{quoted}” — {source}" if quoted else source


def _reasons(hit: Hit, strength: float | None) -> str:
    badges = "".join(map(_badge, match_reasons(hit)))
    if recognized := recognition_text(hit):
        badges += f'<span class="badge" title="Recognized in a picture">{recognized}</span>'
    meter = ""
    if strength is not None:
        share = round(100 * max(0.0, min(1.0, strength)))
        meter = (
            f'<span class="strength" role="img" aria-label="{share} percent of the best score" '
            f'title="{share} % of the best score"><span style="width:{share}%"></span></span>'
        )
    return f'<p class="why">{badges}{meter}</p>' if badges or meter else ""


def _badge(reason: MatchReason) -> str:
    return (
        f'<span class="badge {reason.ranking}" title="{reason.measure} {reason.score:.2f}">'
        f"{_ordinal(reason.rank)} by {reason.ranking}</span>"
    )


def _duplicates(hit: Hit) -> str:
    if not hit.duplicates:
        return ""
    links = [
        button(
            duplicate_text(place, hit),
            "open",
            title=f"Open {document_name(place.source, place.collection)} at this passage",
            **passage_data(place.source, place.start, collection=place.collection),
        )
        for place in hit.duplicates[:MAX_DUPLICATES]
    ]
    more = f" and {len(hit.duplicates) - MAX_DUPLICATES} more" if len(hit.duplicates) > MAX_DUPLICATES else ""
    return f'<p class="alike">The same text: {" ".join(links)}{more}</p>'


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
