"""Text that the command line and the web page have in common: locations, reasons for a match, counts, times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from echo_index.indexer.building.document_sync import BuildReport
    from echo_index.indexer.building.removal import RemovalReport
    from echo_index.indexer.exchange.export_index import ExchangeReport
    from echo_index.indexer.stores.corpus import PublicationReport
    from echo_index.indexer.vectors.index_kind import IndexDescription
    from echo_index.retriever.search.hits import Hit, Location

STAGE_LABELS = {
    "distributing": "Embedding files on the cluster",
    "reading": "Reading files",
    "embedding": "Embedding passages",
    "normalizing": "Normalizing vectors",
    "indexing": "Building the vector index",
    "publishing": "Publishing passages",
}
_MAX_SAME_FAILURES = 5  # that each have a line of their own
_NAMED = 3  # of more
MAX_DUPLICATES = 5
"""How many locations of duplicates are named for each hit."""


@dataclass(frozen=True)
class MatchReason:
    """A ranking that found a hit: its name, what its scores are, and the hit's rank (from 1) and score in it."""

    ranking: str
    measure: str
    rank: int
    score: float


def match_reasons(hit: Hit) -> list[MatchReason]:
    """Return the rankings that a hit was found in, and reranked by."""
    rankings = (
        ("meaning", "cosine", hit.dense),
        ("words", "BM25", hit.lexical),
        ("likelihood", "log probability of a token of the question", hit.likelihood),
    )
    return [MatchReason(name, measure, found.rank, found.score) for name, measure, found in rankings if found]


def position_text(location: Location) -> str:
    """Return "slide 3", "page 3", "pages 3 to 5" or "line 7", or "" where nothing is known."""
    if location.place:
        return location.place
    if location.page:
        is_range = location.last_page is not None
        return f"pages {location.page} to {location.last_page}" if is_range else f"page {location.page}"
    return f"line {location.line}" if location.line else ""


def document_name(source: str, collection: str = "") -> str:
    """Return "notes.md" or, if several collections were searched together, "work: notes.md"."""
    return f"{collection}: {source}" if collection else source


def location_text(location: Location, *, compact: bool = False) -> str:
    """Return "notes.md, line 7" or, if compact, "notes.md:7", which editors and terminals open at the line.

    The name of the collection comes first if several were searched together: "work: notes.md, line 7".
    """
    position = position_text(location)
    source = document_name(location.source, location.collection)
    if compact and location.line and not (location.place or location.page):
        return f"{source}:{location.line}"
    return f"{source}, {position}" if position else source


def recognition_text(hit: Hit) -> str:
    """Return "read by OCR, confidence 93 %" for a hit that was recognized in a picture; empty for others."""
    from echo_index.indexer.documents.recognition import confidence_phrase

    return confidence_phrase(hit.recognition) if hit.recognition else ""


def source_text(hit: Hit) -> str:
    """Return where a hit stands and, for text in a picture, how well it was recognized."""
    return "; ".join(filter(None, [location_text(hit.location), recognition_text(hit)]))


def duplicate_text(duplicate: Location, hit: Hit, *, compact: bool = False) -> str:
    """Return where a duplicate of a hit is, without the name of the document if both are in the same one."""
    if (duplicate.collection, duplicate.source) == (hit.collection, hit.source):
        return position_text(duplicate) or "elsewhere in it"
    return location_text(duplicate, compact=compact)


def heading_path(title: str, headings: Sequence[str], *, separator: str = " > ") -> str:
    """Return a document's title and the headings above a passage, in one line."""
    from echo_index.indexer.documents.chunking import title_path

    return separator.join(title_path(title, headings))


def change_counts(report: BuildReport) -> str:
    """Return how many files a build found new, changed, unchanged and removed: "2 new, 1 changed"."""
    counts = (
        (report.added, "new"),
        (report.changed, "changed"),
        (report.unchanged, "unchanged"),
        (report.removed, "removed"),
    )
    return ", ".join(f"{count:,} {word}" for count, word in counts if count)


def approximate_search_line(index: IndexDescription) -> str:
    """Return what was measured of an approximate index, and what to do if it finds less than it should."""
    if index.recall is None:
        return f"The search by meaning is approximate ({index.kind}); the next build measures what it finds."
    line = (
        f"The search by meaning finds {index.recall:.1%} of the ten nearest passages ({index.kind}, "
        f"{index.bytes_per_vector:.0f} bytes a passage, {index.queries_per_second:.0f} searches a second)."
    )
    if not index.has_lost_recall:
        return line
    return f"{line} That is less than {index.target:.1%}; make it anew: echo-index build --index-kind auto"


def index_size(report: BuildReport | RemovalReport | ExchangeReport) -> str:
    """Return how much an index contains: "2 documents in 5 passages"."""
    return f"{pluralize(report.documents, 'document')} in {pluralize(report.chunks, 'passage')}"


def omission_lines(omissions: Sequence[tuple[str, str]]) -> list[str]:
    """Return one line for each document of which something was not read: "a.pdf: no text on page 2"."""
    phrases: dict[str, list[str]] = {}
    for path, phrase in omissions:
        phrases.setdefault(path, []).append(phrase)
    return [f"{path}: {'; '.join(those)}" for path, those in phrases.items()]


def failure_lines(failures: Sequence[tuple[str, str]]) -> list[str]:
    """Return a line for each file that could not be read, and one for many with the same reason, such as photos."""
    from echo_index.indexer.documents.enumeration import enumerated

    paths: dict[str, list[str]] = {}
    for path, reason in failures:
        paths.setdefault(reason, []).append(path)
    lines = []
    for reason, those in paths.items():
        if len(those) > _MAX_SAME_FAILURES:
            lines.append(f"{enumerated(those[:_NAMED], len(those) - _NAMED)}: {reason}")
        else:
            lines += [f"{path}: {reason}" for path in those]
    return lines


def pattern_lines(report: BuildReport) -> list[str]:
    """Return one line for each source whose patterns are those of an earlier build."""
    return [
        f"{source}: "
        + " and ".join(
            f"{word} {', '.join(patterns)}" for word, patterns in (("only", include), ("without", exclude)) if patterns
        )
        + ", as before"
        for source, include, exclude in report.kept_patterns
    ]


def publication_line(report: PublicationReport) -> str:
    """Return "Published to milvus:http://host:19530: 3 documents with 20 passages; 1 document removed."."""
    written = f"{pluralize(report.documents, 'document')} with {pluralize(report.passages, 'passage')}"
    removed = f"; {pluralize(report.removed, 'document')} removed" if report.removed else ""
    return f"Published to {report.store}: {written}{removed}."


def pluralize(count: int, noun: str) -> str:
    """Return "1 passage" or "2 passages"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def byte_count(count: int) -> str:
    """Return a number of bytes as "1.2 GB", "1.2 MB" or "3.4 kB"."""
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def rate_text(per_second: float) -> str:
    """Return a rate as "2.5/s", or per minute where it is below one per second."""
    return f"{per_second:.1f}/s" if per_second >= 1 or per_second == 0 else f"{60 * per_second:.1f}/min"


def minutes_text(seconds: int) -> str:
    """Return a duration as "2:05" (minutes and seconds)."""
    return f"{seconds // 60}:{seconds % 60:02}"
