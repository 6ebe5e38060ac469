"""Hits as cards: where a passage is, why it was found, what it says. Knows HTML, nothing of how hits are found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from echo_index.app.web.html import attributes, button, escape_html, notice

if TYPE_CHECKING:
    from echo_index.retriever.search.hits import Hit, Location, RankedScore

Span = tuple[int, int]

# A line end between words wraps a line; one before a list, a heading, a table or an indent means something.
_WRAP = re.compile(r"(?<=\S)\n(?=[^\s#>*+|=`~\d-])")
_FENCE = re.compile(r"(^(?:```|~~~)(?:.|\n)*?(?:^(?:```|~~~)|\Z))", re.MULTILINE)
_EXCERPT = 520  # characters of a passage on a card
_BEFORE_MARK = 160  # of them, at most, in front of the sentence that is marked
_MOST_ALIKE = 5  # places where the same is said are linked
_NOTHING = "Try other words, search by meaning instead of by words, or take a filter away."


def hit_cards(hits: Sequence[Hit], marks: Sequence[Span | None], *, similar: bool = True) -> str:
    """Return the cards of hits, best first, with the sentence that fits best marked in each."""
    if not hits:
        return notice("Nothing was found.", remedy=_NOTHING, kind="empty")
    best = max(hit.score for hit in hits)
    cards = (
        hit_card(hit, mark, number=number, strength=hit.score / best if best > 0 else 0.0, similar=similar)
        for number, (hit, mark) in enumerate(zip(hits, marks, strict=True), start=1)
    )
    return f'<ol class="hits">{"".join(cards)}</ol>'


def hit_card(
    hit: Hit,
    mark: Span | None,
    *,
    number: int,
    strength: float | None = None,
    similar: bool = True,
    kinds: Sequence[str] = (),
) -> str:
    """Return one card; `strength` is the score as a share of the best one's, `kinds` are `cited` and `here`."""
    where = {"source": hit.source, "start": hit.start}
    actions = [
        button("Open", "open", title=f"Open {hit.source} at this passage", **where),
        button("Copy citation", "copy", title="Copy this passage with its source", text=citation(hit, mark)),
    ]
    if similar:
        actions.append(button("More like this", "similar", title="Find passages that say alike", **where))
    return (
        f'<li class="{" ".join(("hit", *kinds))}" {attributes(**where)}>'
        f'<div class="hit-head"><span class="number" aria-hidden="true">{number}</span>'
        f'<h3 dir="auto">{heading(hit)}</h3></div>'
        f'<p class="place" dir="ltr">{escape_html(location_html(hit))}</p>'
        f"{_why(hit, strength)}{_passage(hit, mark)}{_alike(hit)}"
        f'<p class="actions">{"".join(actions)}</p></li>'
    )


def heading(hit: Hit) -> str:
    """Return the title and the headings above a passage."""
    from echo_index.indexer.documents.chunking import title_path

    title, *rest = title_path(hit.title, hit.headings) or (hit.source,)
    path = "".join(f'<span class="crumb"> › {escape_html(name)}</span>' for name in rest)
    return f"{escape_html(title)}{path}"


def location_html(hit: Hit) -> str:
    """Return where a passage stands: its file, and the page or line."""
    spot = f", page {hit.page}" if hit.page else f", line {hit.line}" if hit.line else ""
    return f"{hit.source}{spot}"


def citation(hit: Hit, mark: Span | None) -> str:
    """Return what a person pastes into a text: the sentence that was marked, and where it stands."""
    from echo_index.indexer.documents.chunking import title_path

    quoted = " ".join(hit.text[slice(*mark)].split()) if mark else ""
    titles = " > ".join(title_path(hit.title, hit.headings))
    source = f"{titles} ({location_html(hit)})"
    return f"“{quoted}” — {source}" if quoted else source


def _why(hit: Hit, strength: float | None) -> str:
    badges = (
        _badge(hit.dense, "meaning", "cosine")
        + _badge(hit.lexical, "words", "BM25")
        + _badge(hit.likelihood, "likelihood", "log probability of a token of the question")
    )
    meter = ""
    if strength is not None:
        share = round(100 * max(0.0, min(1.0, strength)))
        meter = (
            f'<span class="strength" role="img" aria-label="{share} percent of the best score" '
            f'title="{share} % of the best score"><span style="width:{share}%"></span></span>'
        )
    return f'<p class="why">{badges}{meter}</p>' if badges or meter else ""


def _alike(hit: Hit) -> str:
    """Return links to where else the same is said."""
    if not hit.duplicates:
        return ""
    links = [
        button(
            _spot(each, within=hit.source),
            "open",
            title=f"Open {each.source} there",
            source=each.source,
            start=each.start,
        )
        for each in hit.duplicates[:_MOST_ALIKE]
    ]
    more = f" and {len(hit.duplicates) - _MOST_ALIKE} more" if len(hit.duplicates) > _MOST_ALIKE else ""
    return f'<p class="alike">The same: {" ".join(links)}{more}</p>'


def _spot(spot: Location, *, within: str) -> str:
    named = "" if spot.source == within else f"{spot.source} "
    where = f"page {spot.page}" if spot.page else f"line {spot.line}" if spot.line else "elsewhere in it"
    return f"{named}{where}".strip()


def _badge(spot: RankedScore | None, how: str, measure: str) -> str:
    if spot is None:
        return ""
    return f'<span class="badge {how}" title="{measure} {spot.score:.2f}">{_ordinal(spot.rank)} by {how}</span>'


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _passage(hit: Hit, mark: Span | None) -> str:
    start, end = _excerpt(hit.text, mark)
    before, after = "… " if start else "", " …" if end < len(hit.text) else ""
    text = f"{before}{marked(flowing(hit.text, hit.format), mark, start=start, end=end)}{after}"
    if hit.format == "code":
        return f'<pre class="passage" dir="ltr" tabindex="0">{text}</pre>'
    return f'<p class="passage" dir="auto">{text}</p>'


def marked(text: str, mark: Span | None, *, start: int = 0, end: int | None = None) -> str:
    """Return the HTML of a stretch of text with one span in it marked."""
    end = len(text) if end is None else end
    if mark is None:
        return escape_html(text[start:end])
    first, last = max(start, mark[0]), min(end, mark[1])
    return f"{escape_html(text[start:first])}<mark>{escape_html(text[first:last])}</mark>{escape_html(text[last:end])}"


def flowing(text: str, format: str) -> str:
    """Return prose without the line ends that only wrap it; as many characters as before. Code stays as it is."""
    if format == "code":
        return text
    prose_and_fences = _FENCE.split(text)
    prose_and_fences[::2] = [_WRAP.sub(" ", prose) for prose in prose_and_fences[::2]]
    return "".join(prose_and_fences)


def _excerpt(text: str, mark: Span | None) -> Span:
    """Return the stretch of a passage that a card shows: whole words, around the sentence that is marked."""
    if len(text) <= _EXCERPT:
        return 0, len(text)
    start = max(0, min((mark[0] if mark else 0) - _BEFORE_MARK, len(text) - _EXCERPT))
    end = max(start + _EXCERPT, mark[1] if mark else 0)
    if start and (normalization := text.find(" ", start, mark[0] if mark else end)) >= 0:
        start = normalization + 1
    if end < len(text) and (normalization := text.rfind(" ", mark[1] if mark else start, end)) >= 0:
        end = normalization
    return start, end
