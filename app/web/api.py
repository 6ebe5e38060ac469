"""API endpoints of the page, which are also the tools of the MCP server."""

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

_MAX_PASSAGES = 100
_MAX_RERANKED = 50
_MAX_DOCUMENTS = 1000
_MAX_CHARACTERS = 20_000
_MAX_ANSWER_PASSAGES = 10


def add_endpoints(service: IndexService) -> None:
    """Add the endpoints to the current gr.Blocks."""
    endpoints = _Endpoints(service)
    for endpoint in (endpoints.search, endpoints.similar, endpoints.ask, endpoints.documents, endpoints.read):
        api(endpoint, api_name=endpoint.__name__, concurrency_limit=8)


class _Endpoints:
    """One method for each endpoint; Gradio publishes its docstring as the description."""

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
        """Find the passages of the indexed documents that best match a question.

        Args:
            question: What to look for, as a sentence or as a few words.
            k: How many passages to return, at most 100.
            mode: By meaning (dense), by words (lexical), or both (hybrid).
            instruction: What to find, such as "Find code that does this."; empty for passages that answer a question.
            paths: Only these documents or folders, or those that match one of these globs, such as "docs/*".
            formats: Only documents of these formats, such as "markdown" or "pdf".
            rerank: How many of the best passages the language model reorders, at most 50; slower.

        Returns:
            Passages, best first: text, source, title, headings, start and end (character offsets), page or line, score,
            and alike (locations of passages with the same text).
        """
        where = SearchFilter(paths=tuple(paths or ()), formats=tuple(formats or ()))
        with _api_errors():
            hits = self._service.with_retriever(
                lambda retriever: retriever.search(
                    question,
                    k=min(int(k), _MAX_PASSAGES),
                    mode=mode,
                    instruction=instruction or None,
                    where=where,
                    rerank=min(int(rerank), _MAX_RERANKED),
                    group=True,
                )
            )
        return [hit_fields(hit) for hit in hits]

    def similar(self, source: str, start: int, k: int = DEFAULTS.results) -> list[dict[str, Any]]:
        """Find passages that are similar to a given passage.

        Args:
            source: The document of the passage, as returned by search.
            start: The character offset of the passage, as returned by search.
            k: How many passages to return, at most 100.

        Returns:
            Passages, best first, in the format of search.
        """
        with _api_errors():
            hits = self._service.with_retriever(
                lambda retriever: retriever.similar(source, int(start), k=min(int(k), _MAX_PASSAGES))
            )
        return [hit_fields(hit) for hit in hits]

    def ask(self, question: str, passages: int = DEFAULTS.passages) -> dict[str, Any]:
        """Answer a question from the indexed documents, with citations, written by the local language model.

        Args:
            question: The question.
            passages: How many passages to give to the model, at most 10.

        Returns:
            The answer with numbered citations, whether the documents contain an answer, and the cited passages.
        """
        request = Request(question, passages=max(1, min(int(passages), _MAX_ANSWER_PASSAGES)))
        with _api_errors():
            turns = list(stream_turn(self._service, request))
        answer = turns[-1].answer if turns else None
        return answer_fields(answer) if answer else {}

    def documents(self, contains: str = "") -> list[dict[str, Any]]:
        """List the indexed documents, at most 1000.

        Args:
            contains: Only documents whose path contains this text.

        Returns:
            Documents sorted by path: path, title, format, size in bytes, number of passages, and the failure, if any.
        """
        with _api_errors():
            documents = self._service.with_snapshot(list_documents)
        matching = [document for document in documents if contains.lower() in document.path.lower()]
        return [asdict(document) for document in matching[:_MAX_DOCUMENTS]]

    def read(self, source: str, start: int = 0, characters: int = 4000) -> dict[str, Any]:
        """Read the text of an indexed document, for instance around a passage.

        Args:
            source: The document, as returned by search.
            start: The character offset to start from.
            characters: How many characters to return, at most 20000.

        Returns:
            The text, its source, title and start, and the length of the whole document in characters.
        """
        with _api_errors():
            document = self._service.with_snapshot(lambda snapshot: read_indexed_document(snapshot, source))
        begin = max(0, int(start))
        text = document.text[begin : begin + max(0, min(int(characters), _MAX_CHARACTERS))]
        return {
            "source": source,
            "title": document.title,
            "start": begin,
            "text": text,
            "length": len(document.text),
        }


@contextmanager
def _api_errors() -> Iterator[None]:
    """Return an EchoIndexError to the caller as its message, without logging a traceback."""
    try:
        yield
    except EchoIndexError as error:
        raise gr.Error(str(error), print_exception=False) from None
