"""Citations as the annotations of a message, in the form in which OpenAI cites pages."""

from __future__ import annotations

import re
from typing import Any, Literal
from urllib.parse import quote

from pydantic import BaseModel

from echo_index.app.services.json_fields import hit_fields
from echo_index.retriever.rag.citations import Answer
from echo_index.retriever.search.hits import Hit

_MARKER = re.compile(r"\[(\d+)\]")


class UrlCitation(BaseModel):
    """Where a number in brackets stands in the message, and the source that it names."""

    start_index: int
    end_index: int
    title: str
    url: str


class Annotation(BaseModel):
    """A citation; `number` is that in brackets, and `passage` has the fields of a hit of /search."""

    type: Literal["url_citation"] = "url_citation"
    url_citation: UrlCitation
    number: int
    passage: dict[str, Any]


def annotation_fields(answer: Answer, text: str) -> list[dict[str, Any]]:
    """Return one annotation for each number in brackets in `text`, in their order."""
    cited = {citation.number: citation.hit for citation in answer.citations}
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": marker.start(),
                "end_index": marker.end(),
                "title": cited[number].title or cited[number].source,
                "url": _url(cited[number]),
            },
            "number": number,
            "passage": hit_fields(cited[number]),
        }
        for marker in _MARKER.finditer(text)
        if (number := int(marker[1])) in cited
    ]


def _url(hit: Hit) -> str:
    """Return the source as a relative address, with the page or the line of the sentence that answers."""
    location = hit.location
    fragment = f"#page={location.page}" if location.page else f"#line={location.line}" if location.line else ""
    return quote(hit.source, safe="/!") + fragment
