"""Group hits that say the same, word for word, under the best of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from echo_index.retriever.search.highlight import with_matching_sentences
from echo_index.retriever.search.hits import Hit, Location

# Around a word these change nothing. Signs that do, as in -5, ≥40, $9 and 50%, are not among them.
_PUNCTUATION = ".,;:!?…\"'“”„‘’«»()[]{}*_`#>|~"
_BULLETS = frozenset(("", "-", "–", "—", "+", "•"))


def group_duplicates(query: str, hits: Sequence[Hit], *, limit: int) -> list[Hit]:
    """Return up to `limit` of the hits, best first, without duplicates; each lists its own in `Hit.duplicates`.

    A location in that list has the page and the line of the sentence that answers the query, as the hit will have.

    Duplicates have the same words in the same order; in one document their headings are the same, too. Passages that
    are only similar are never duplicates: a single number, name or "not" may be what the user looks for.
    """
    groups: list[list[Hit]] = []
    groups_by_words: dict[tuple[str, ...], list[list[Hit]]] = {}
    for hit in hits:
        same_words = groups_by_words.setdefault(_words(hit.full_text), [])
        for group in same_words:
            if _are_duplicates(group[0], hit):
                group.append(hit)
                break
        else:
            groups.append([hit])
            same_words.append(groups[-1])
    return [replace(best, duplicates=_locations(query, others)) for best, *others in groups[:limit]]


def _locations(query: str, hits: Sequence[Hit]) -> tuple[Location, ...]:
    # The start is that of the passage, by which it can be opened.
    return tuple(replace(hit.location, start=hit.start) for hit in with_matching_sentences(query, hits))


def _are_duplicates(first: Hit, second: Hit) -> bool:
    """Return whether hits with the same words say the same; a copy in another document may have other headings."""
    is_same_document = (first.collection, first.source) == (second.collection, second.source)
    return not is_same_document or first.headings == second.headings


def _words(text: str) -> tuple[str, ...]:
    words = (word.strip(_PUNCTUATION).casefold() for word in text.split())
    return tuple(word for word in words if word not in _BULLETS)
