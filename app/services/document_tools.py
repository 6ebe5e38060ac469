"""The tools with which an assistant uses an index: the same over stdio, over HTTP and as endpoints of the page."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from echo_index.app.defaults import DEFAULTS
from echo_index.app.services.document_lookup import find_document, unknown_paths
from echo_index.app.services.document_pages import page_of_collections
from echo_index.app.services.index_service import IndexService
from echo_index.app.services.tool_results import (
    AnswerResult,
    DocumentEntry,
    DocumentList,
    DocumentText,
    Passage,
    SearchResult,
    StatusResult,
)
from echo_index.errors import EchoIndexError, QuestionError

if TYPE_CHECKING:
    from echo_index.app.services.answer_job import Turn
    from echo_index.app.services.collections import Collection
    from echo_index.app.services.query_vector import QueryVectors
    from echo_index.indexer.catalog.records import SearchFilter
    from echo_index.retriever.search.hits import Hit
    from echo_index.retriever.search.searcher import Searcher

_MAX_PASSAGES = 100  # within these, an offset does not change the ranking
_MAX_RERANKED = 50
_MAX_SEARCH_CHARACTERS = 24_000  # of the passages of one page
_MAX_ANSWER_PASSAGES = 10
_MAX_DOCUMENTS = 1000
_MAX_CHARACTERS = 20_000


@dataclass(frozen=True)
class DocumentTools:
    """One method for each tool; its docstring and its types are the description that assistants see.

    `query_vectors` embeds queries without torch; without it, the model of the index does. `on_turn` is called each time
    the text of an answer grows, and stops the answer if it raises an error.
    """

    service: IndexService
    query_vectors: QueryVectors | None = None
    writer: str | None = None
    on_turn: Callable[[Turn], None] = lambda turn: None

    def search(
        self,
        question: str,
        k: int = DEFAULTS.results,
        mode: Literal["hybrid", "dense", "lexical"] = "hybrid",
        instruction: str = "",
        paths: list[str] | None = None,
        formats: list[str] | None = None,
        rerank: int = 0,
        offset: int = 0,
        since: str = "",
        before: str = "",
        where: str = "",
        min_score: float = 0,
        collections: list[str] | None = None,
    ) -> SearchResult:
        """Find the passages of the user's indexed documents that best match a question. Start here.

        Searches by meaning and by words, so a whole question works best. To have words stand exactly like this, put
        them in double quotation marks. Name the `location` of a passage when you use it, and give it to `read` to see
        what stands around it. If the passages do not hold the answer, ask in other words before you give up.

        Args:
            question: What to look for, as a sentence or as a few words, in any language.
            k: How many passages to return, at most 100.
            mode: By meaning (dense), by words (lexical), or both (hybrid).
            instruction: What to find, such as "Find code that does this."; empty for passages that answer a question.
            paths: Only these documents or folders, or those that match one of these globs, such as "docs/*".
            formats: Only documents of these formats, such as "markdown" or "pdf"; `status` names those there are.
            rerank: How many of the best passages the language model reorders, at most 50; slower.
            offset: How many of the best passages to leave out: `next_offset` of the page before.
            since: Only files changed on this date or later, such as "2024-05" or "7 days".
            before: Only files changed before this date.
            where: Only documents whose fields meet this condition, such as "date >= 2024 and author = 'Ng'".
            min_score: Only passages of at least this relevance, from 0 to 1; not for lexical.
            collections: Only these collections, where there are several; `status` names them.

        Returns:
            A page of passages, best first, each with its source, location, score and text.
        """
        k, offset = _page("k", k, offset, most=_MAX_PASSAGES)
        search_filter = _filter(paths, formats, since, before, where)

        vector = None
        if self.query_vectors is not None and mode != "lexical" and question.strip():
            quick, chosen = self.query_vectors, (collections or [""])[0]
            vector = self.service.with_retriever(
                lambda retriever: quick.vector(retriever, question, instruction=instruction or None), collection=chosen
            )

        def find(searcher: Searcher) -> list[Hit]:
            return searcher.search(
                question,
                k=min(offset + k + 1, _MAX_PASSAGES),
                mode=mode,
                instruction=instruction or None,
                where=search_filter,
                rerank=min(rerank, _MAX_RERANKED),
                group=True,
                vector=vector,
                min_score=min_score or None,
            )

        hits = self.service.with_searcher(find, collections=collections or ())
        note = unknown_paths(self.service, search_filter.paths, collections or ())
        passages = _within([Passage.of(hit) for hit in hits[offset : offset + k]])
        after = offset + len(passages)
        return SearchResult(
            passages=passages,
            offset=offset,
            next_offset=after if passages and after < len(hits) else None,
            note=note or ("" if passages else _nothing_found(question, mode, offset)),
        )

    def similar(
        self,
        source: str,
        start: int,
        k: int = DEFAULTS.results,
        paths: list[str] | None = None,
        formats: list[str] | None = None,
        since: str = "",
        before: str = "",
        where: str = "",
        collection: str = "",
    ) -> SearchResult:
        """Find passages that are similar to a given passage.

        Args:
            source: The document of the passage, as returned by search.
            start: The character offset of the passage, as returned by search.
            k: How many passages to return, at most 100.
            paths: Only these documents or folders, or those that match one of these globs, such as "docs/*".
            formats: Only documents of these formats, such as "markdown" or "pdf".
            since: Only files changed on this date or later, such as "2024-05" or "7 days".
            before: Only files changed before this date.
            where: Only documents whose fields meet this condition, such as "date >= 2024 and author = 'Ng'".
            collection: The collection of the passage, as returned by search, where there are several.

        Returns:
            Passages of the same collection, best first, in the format of search.
        """
        k, _ = _page("k", k, 0, most=_MAX_PASSAGES)
        search_filter = _filter(paths, formats, since, before, where)
        hits = self.service.similar(source, start, collection=collection, k=k, where=search_filter)
        note = unknown_paths(self.service, search_filter.paths, [collection] if collection else ())
        passages = _within([Passage.of(hit) for hit in hits])
        return SearchResult(
            passages=passages, offset=0, next_offset=None, note=note or ("" if passages else "Nothing is similar.")
        )

    def ask(
        self,
        question: str,
        passages: int = 0,
        paths: list[str] | None = None,
        formats: list[str] | None = None,
        since: str = "",
        before: str = "",
        where: str = "",
        collections: list[str] | None = None,
    ) -> AnswerResult:
        """Let a small local language model answer a question from the documents, in a few sentences with citations.

        It takes seconds to minutes. If you can write the answer yourself, use `search` and `read` instead: you see more
        and write better. Use this where the passages must not leave the machine, or the user asks for it.

        Args:
            question: The question.
            passages: How many passages to give to the model, at most 10; 0 lets the question decide.
            paths: Only these documents or folders, or those that match one of these globs, such as "docs/*".
            formats: Only documents of these formats, such as "markdown" or "pdf".
            since: Only from files changed on this date or later, such as "2024-05" or "7 days".
            before: Only from files changed before this date.
            where: Only from documents whose fields meet this condition, such as "date >= 2024 and author = 'Ng'".
            collections: Only from these collections, where there are several; `status` names them.

        Returns:
            The answer with numbered citations, whether the documents contain an answer, and the cited passages.
        """
        from echo_index.app.services.answer_job import Request, stream_turn

        if passages < 0:
            raise QuestionError(f"passages is {passages}; it must be at least 0.")
        request = Request(
            question,
            where=_filter(paths, formats, since, before, where),
            collections=tuple(collections or ()),
            writer=self.writer,
            passages=min(passages, _MAX_ANSWER_PASSAGES) or None,
        )
        with closing(stream_turn(self.service, request)) as turns:
            for turn in turns:
                self.on_turn(turn)
        assert turn.answer is not None, "the last turn has the answer"
        return AnswerResult.of(turn.answer)

    def read(
        self,
        source: str,
        start: int | None = None,
        characters: int = DEFAULTS.read_characters,
        collection: str = "",
    ) -> DocumentText:
        """Read an indexed document, or the part of it around a passage.

        Give the `location` of a passage as the source to see what stands around it. A part of a document is named as
        "notes.md:7" (around a line), "notes.md:7-40", "notes.md#A heading", "report.pdf, page 3", "report.pdf, pages 3
        to 5" or "deck.pptx, slide 3". Long documents come in parts: to read on, call this again with `next_start` as
        `start`.

        Args:
            source: The document or a part of it, as `location` of a passage, or `source` of a document, names it.
            start: The character of the document to start from, counted from 0; by default the start of the part.
            characters: How many characters to return at most, up to 20000.
            collection: The collection of the document, where several have one of that name.

        Returns:
            The text, what it is of the document, and where to read on.
        """
        if characters < 1:
            raise QuestionError(f"characters is {characters}; it must be at least 1.")

        from echo_index.app.services.excerpts import read_part
        from echo_index.indexer.inspection.document_queries import read_indexed_document

        found = find_document(self.service, source, collection=collection)
        document = self.service.with_reader(
            lambda reader: read_indexed_document(reader, found.path), collection=found.collection
        )
        excerpt = read_part(document, found.part, start=start, characters=min(characters, _MAX_CHARACTERS))
        return DocumentText.of(document, excerpt, collection=self.service.shown(found.collection))

    def list_documents(
        self, contains: str = "", offset: int = 0, limit: int = 100, collections: list[str] | None = None
    ) -> DocumentList:
        """List the indexed documents, ordered by collection and path, in pages.

        To find out what a document says, use `search`.

        Args:
            contains: Only documents whose path or title contains this text.
            offset: How many documents to leave out: `next_offset` of the page before.
            limit: How many documents to return, at most 1000.
            collections: Only of these collections, where there are several; `status` names them.

        Returns:
            A page of documents with path, title, format, size and number of passages, and how many there are.
        """
        from echo_index.indexer.catalog.chunk_queries import DocumentSelection

        limit, offset = _page("limit", limit, offset, most=_MAX_DOCUMENTS)
        page, total = page_of_collections(
            self.service,
            DocumentSelection(contains, in_titles=True),
            collections=collections or (),
            offset=offset,
            limit=limit,
        )
        after = offset + limit
        return DocumentList(
            documents=[DocumentEntry.of(document, collection=name) for name, document in page],
            total=total,
            offset=offset,
            next_offset=after if after < total else None,
        )

    def status(self) -> StatusResult:
        """Say what is indexed: how many documents of which formats, when, with which model, and what failed.

        Returns:
            The facts of the index, or of all collections together and of each, also of those that cannot be opened.

        Raises:
            EchoIndexError: no index can be opened.
        """
        from echo_index.app.services.status import index_facts

        facts: dict[Collection, dict[str, Any] | EchoIndexError] = {}
        for collection in self.service.collections:
            try:
                facts[collection] = self.service.with_retriever(
                    lambda retriever: retriever.with_reader(partial(index_facts, place=retriever.index_dir)),
                    collection=collection.name,
                )
            except EchoIndexError as error:
                facts[collection] = error
        return StatusResult.of(facts)


def _page(name: str, limit: int, offset: int, *, most: int) -> tuple[int, int]:
    """Return the size and the offset of a page.

    Raises:
        QuestionError: one of them is too small.
    """
    if limit < 1:
        raise QuestionError(f"{name} is {limit}; it must be at least 1.")
    if offset < 0:
        raise QuestionError(f"offset is {offset}; it must be at least 0.")
    return min(limit, most), offset


def _within(passages: list[Passage]) -> list[Passage]:
    """Return as many of the passages as fit into one page, at least one."""
    size = 0
    for count, passage in enumerate(passages):
        size += len(passage.text)
        if size > _MAX_SEARCH_CHARACTERS and count:
            return passages[:count]
    return passages


def _filter(paths: list[str] | None, formats: list[str] | None, since: str, before: str, where: str) -> SearchFilter:
    from echo_index.indexer.catalog.records import SearchFilter

    return SearchFilter.parse(paths=paths, formats=formats, since=since, before=before, where=where)


def _nothing_found(question: str, mode: Literal["hybrid", "dense", "lexical"], offset: int) -> str:
    from echo_index.retriever.search.lexical import nothing_found

    return "There are no more passages." if offset else nothing_found(question, mode=mode)
