"""Show hits as cards: title, location, reasons for the match, and the passage with its best sentence marked."""

from __future__ import annotations

import re
from collections.abc import Sequence
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

if TYPE_CHECKING:
    from echo_index.retriever.search.hits import Hit

Span = tuple[int, int]

# A line end between words only wraps the text; before a list, heading, table or indented line it has a meaning.
_SOFT_LINE_END = re.compile(r"(?<=\S)\n(?=[^\s#>*+|=`~\d-])")
_CODE_FENCE = re.compile(r"(^(?:```|~~~)(?:.|\n)*?(?:^(?:```|~~~)|\Z))", re.MULTILINE)
_EXCERPT_LENGTH = 520  # characters
_MAX_BEFORE_MARK = 160  # characters of the excerpt before the marked sentence
_NO_HITS_REMEDY = "Try other words, search by meaning instead of by words, or remove a filter."


def hit_cards(hits: Sequence[Hit], *, similar: bool = True, nothing: str = "Nothing was found.") -> str:
    """Return hits as cards, best first, and the text `nothing` if there are none."""
    if not hits:
        return notice(nothing, remedy=_NO_HITS_REMEDY, kind="empty")
    best = max(hit.score for hit in hits)
    cards = (
        hit_card(hit, number=number, strength=hit.score / best if best > 0 else 0.0, similar=similar)
        for number, hit in enumerate(hits, start=1)
    )
    return f'<ol class="hits">{"".join(cards)}</ol>'


def hit_card(
    hit: Hit,
    *,
    number: int,
    strength: float | None = None,
    similar: bool = True,
    kinds: Sequence[str] = (),
) -> str:
    """Return one card; `strength` is the score relative to the best one, `kinds` are of "cited" and "here"."""
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
        f"{_reasons(hit, strength)}{_passage(hit)}{_duplicates(hit)}"
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


def _passage(hit: Hit) -> str:
    start, end = _excerpt(hit.text, hit.sentence)
    header = f"{escape_html(hit.table_header)}\n" if hit.table_header else ""
    before, after = "… " if start else "", " …" if end < len(hit.text) else ""
    marked = mark_html(unwrap(hit.text, hit.format), hit.sentence, start=start, end=end)
    text = f"{header}{before}{marked}{after}"
    if hit.format == "code":
        return f'<pre class="passage" dir="ltr" tabindex="0">{text}</pre>'
    return f'<p class="passage" dir="auto">{text}</p>'


def mark_html(text: str, mark: Span | None, *, start: int = 0, end: int | None = None) -> str:
    """Return text[start:end] as HTML, with one span of `text` marked."""
    end = len(text) if end is None else end
    if mark is None:
        return escape_html(text[start:end])
    first, last = max(start, mark[0]), min(end, mark[1])
    return f"{escape_html(text[start:first])}<mark>{escape_html(text[first:last])}</mark>{escape_html(text[last:end])}"


def unwrap(text: str, format: str) -> str:
    """Replace line ends that only wrap prose by spaces, which keeps all offsets. Code is returned unchanged."""
    if format == "code":
        return text
    prose_and_fences = _CODE_FENCE.split(text)
    prose_and_fences[::2] = [_SOFT_LINE_END.sub(" ", prose) for prose in prose_and_fences[::2]]
    return "".join(prose_and_fences)


def _excerpt(text: str, mark: Span | None) -> Span:
    """Return the span of a passage that a card shows: whole words around the marked sentence."""
    if len(text) <= _EXCERPT_LENGTH:
        return 0, len(text)
    start = max(0, min((mark[0] if mark else 0) - _MAX_BEFORE_MARK, len(text) - _EXCERPT_LENGTH))
    end = max(start + _EXCERPT_LENGTH, mark[1] if mark else 0)
    if start and (space := text.find(" ", start, mark[0] if mark else end)) >= 0:
        start = space + 1
    if end < len(text) and (space := text.rfind(" ", mark[1] if mark else start, end)) >= 0:
        end = space
    return start, end
