"""A hit with every field set."""

from __future__ import annotations

from echo_index.retriever.search.hits import Hit, RankedScore

TEXT = "The ferry to the island leaves at eight and at noon. Bicycles are carried free of charge."


HIT = Hit(
    text=TEXT,
    source="island/ferry.md",
    title="The ferry",
    headings=("The ferry", "Times"),
    format="markdown",
    start=120,
    end=120 + len(TEXT),
    page=None,
    line=7,
    score=0.5,
    dense=RankedScore(2, 0.71234),
    lexical=RankedScore(11, 3.5),
)
