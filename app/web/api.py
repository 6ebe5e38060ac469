"""What programs may ask: named endpoints with typed answers, which are also the tools of the MCP server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Literal

import gradio as gr
from gradio.events import api

from echo_index.app.defaults import DEFAULTS
from echo_index.app.services.answer_job import Request, stream_turn
from echo_index.app.services.index_service import IndexService
from echo_index.app.services.json_fields import answer_fields, hit_fields
from echo_index.errors import EchoIndexError
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.inspection.document_queries import list_documents, read_indexed_document

_MOST_PASSAGES = 100
_MOST_RERANKED = 50
_MOST_DOCUMENTS = 1000
_MOST_CHARACTERS = 20_000


def offer_endpoints(service: IndexService) -> None:
    """Add the endpoints to the page that is being made."""
    endpoints = _Endpoints(service)
    for offered in (endpoints.search, endpoints.similar, endpoints.ask, endpoints.documents, endpoints.read):
        api(offered, api_name=offered.__name__, concurrency_limit=8)


class _Endpoints:
    """One method an endpoint; what it says of itself is what programs are told."""

    def __init__(self, service: IndexService) -> None:
        self._service = service

    def search(
        self,
        question: str,
        k: int = DEFAULTS.results,
        mode: Literal["hybrid", "dense", "lexical"] = "hybrid",
        instruction: str = "",
        paths: list[str] | None = None,
        formats: list[str] | None = None,
        rerank: int = 0,
    ) -> list[dict[str, Any]]:
        """Find the passages of the indexed documents that fit a question best.

        Args:
            question: What to look for, in natural language or as a few words.
            k: How many passages to return, at most 100.
            mode: By meaning (dense), by words (lexical), or both (hybrid).
            instruction: The task in words, such as "Find code that does this."; empty for answering a question.
            paths: Only documents whose path matches one of these globs, such as "docs/*".
            formats: Only documents of these formats, such as "markdown" or "pdf".
            rerank: How many of the best passages the language model reorders, at most 50; slower.

        Returns:
            Passages, best first: text, source, title, headings, start and end (character offsets), page or line, score,
            and alike: where passages are that say the same.
        """
        where = SearchFilter(paths=tuple(paths or ()), formats=tuple(formats or ()))
        with _told_plainly():
            hits = self._service.with_retriever(
                lambda retriever: retriever.search(
                    question,
                    k=min(int(k), _MOST_PASSAGES),
                    mode=mode,
                    instruction=instruction or None,
                    where=where,
                    rerank=min(int(rerank), _MOST_RERANKED),
                    group=True,
                )
            )
        return [hit_fields(hit) for hit in hits]

    def similar(self, source: str, start: int, k: int = DEFAULTS.results) -> list[dict[str, Any]]:
        """Find the passages that say something like a given passage.

        Args:
            source: The document of the passage, as a search gives it.
            start: The character offset at which the passage begins, as a search gives it.
            k: How many passages to return, at most 100.

        Returns:
            Passages, best first, as a search gives them.
        """
        with _told_plainly():
            hits = self._service.with_retriever(
                lambda retriever: retriever.similar(source, int(start), k=min(int(k), _MOST_PASSAGES))
            )
        return [hit_fields(hit) for hit in hits]

    def ask(self, question: str, passages: int = DEFAULTS.passages) -> dict[str, Any]:
        """Answer a question from the indexed documents, with citations, written by the local language model.

        Args:
            question: The question.
            passages: How many passages the model is given, at most 10.

        Returns:
            The text with numbered citations, whether an answer was found, and the passages that are cited.
        """
        request = Request(question, passages=max(1, min(int(passages), 10)))
        with _told_plainly():
            turns = list(stream_turn(self._service, request))
        answer = turns[-1].answer if turns else None
        return answer_fields(answer) if answer else {}

    def documents(self, contains: str = "") -> list[dict[str, Any]]:
        """List the indexed documents, at most 1000.

        Args:
            contains: Only documents whose path holds this text.

        Returns:
            Documents by path: path, title, format, size in bytes, number of passages, and why it failed, if it did.
        """
        with _told_plainly():
            found = self._service.with_snapshot(list_documents)
        return [asdict(document) for document in found if contains.lower() in document.path.lower()][:_MOST_DOCUMENTS]

    def read(self, source: str, start: int = 0, characters: int = 4000) -> dict[str, Any]:
        """Read the text of an indexed document, for instance around a passage that was found.

        Args:
            source: The document, as a search gives it.
            start: The character offset to begin at.
            characters: How many characters to return, at most 20000.

        Returns:
            The text, its source and title, where it begins, and the length of the whole document.
        """
        with _told_plainly():
            document = self._service.with_snapshot(lambda snapshot: read_indexed_document(snapshot, source))
        begin = max(0, int(start))
        text = document.text[begin : begin + max(0, min(int(characters), _MOST_CHARACTERS))]
        return {
            "source": source,
            "title": document.title,
            "start": begin,
            "text": text,
            "length": len(document.text),
        }


@contextmanager
def _told_plainly() -> Iterator[None]:
    """Tell programs of our errors in their own words, and log no trace of them."""
    try:
        yield
    except EchoIndexError as error:
        raise gr.Error(str(error), print_exception=False) from None
