"""Words for counts, stages and patterns, the same on the command line and on the web page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from echo_index.indexer.building.document_sync import BuildReport

STAGE_LABELS = {
    "reading": "Reading files",
    "embedding": "Embedding passages",
    "asking": "Asking for passages",
    "indexing": "Building the vector index",
}


def pattern_lines(report: BuildReport) -> list[str]:
    """Return a line for each source of which patterns of an earlier build left something out."""
    return [
        f"{source}: "
        + " and ".join(
            f"{word} {', '.join(patterns)}" for word, patterns in (("only", include), ("without", exclude)) if patterns
        )
        + ", as before"
        for source, include, exclude in report.kept_patterns
    ]


def pluralize(count: int, noun: str) -> str:
    """Return "1 passage", "2 passages"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
