"""What the tools for assistants return. The descriptions of the fields are part of the schemas that assistants see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from echo_index.app.services.formatting import duplicate_text, location_text, recognition_text
from echo_index.errors import EchoIndexError

if TYPE_CHECKING:
    from echo_index.app.services.collections import Collection
    from echo_index.app.services.excerpts import Excerpt
    from echo_index.indexer.inspection.document_queries import IndexedDocument, ListedDocument
    from echo_index.retriever.rag.citations import Answer
    from echo_index.retriever.search.hits import Hit

_MAX_FAILURES = 20


class Passage(BaseModel):
    """A passage of a document that a search found."""

    source: str = Field(description="The document, as `read` takes it.")
    collection: str = Field(default="", description="The collection it is in, where there are several; else empty.")
    location: str = Field(description="Where in it, as `read` takes it: 'notes.md:7', 'report.pdf, page 3'.")
    title: str = Field(description="The title of the document.")
    headings: list[str] = Field(description="The headings above the passage, outermost first.")
    page: int | None = Field(description="The page, from 1, in documents with pages.")
    line: int | None = Field(description="The line, from 1, in documents with numbered lines.")
    place: str = Field(description="The place in other documents, such as 'slide 3'; else empty.")
    score: float = Field(description="How well it matches; comparable only within one search.")
    relevance: float | None = Field(
        default=None,
        description="From 0 to 1, comparable between questions: below 0.5, it may well be about something else.",
    )
    text: str = Field(description="The text of the passage.")
    start: int = Field(description="The character of the document that the passage begins with, from 0.")
    end: int = Field(description="The character after its last one.")
    format: str = Field(description="The format of the document, such as 'markdown' or 'pdf'.")
    alike: list[str] = Field(description="Where else the same text stands.")
    recognized: str = Field(description="How sure it is if the text was read from a picture; else empty.")

    @classmethod
    def of(cls, hit: Hit) -> Passage:
        """Return a hit as a passage. Page, line, place and headings are those of the sentence that answers."""
        location = hit.location
        return cls(
            source=hit.source,
            collection=hit.collection,
            location=location_text(location, compact=True),
            title=hit.title,
            headings=[*location.headings],
            page=location.page,
            line=location.line,
            place=location.place,
            score=round(hit.score, 4),
            relevance=None if hit.relevance is None else round(hit.relevance, 4),
            text=hit.full_text,
            start=hit.start,
            end=hit.end,
            format=hit.format,
            alike=[duplicate_text(duplicate, hit, compact=True) for duplicate in hit.duplicates],
            recognized=recognition_text(hit),
        )


class SearchResult(BaseModel):
    """One page of the passages that a search found, best first."""

    passages: list[Passage] = Field(description="The passages, best first.")
    offset: int = Field(description="How many better passages were left out, as asked for.")
    next_offset: int | None = Field(description="The `offset` of the next page, or null on the last one.")
    note: str = Field(description="Why nothing was found, or less than expected; else empty.")


class CitedPassage(Passage):
    """A passage that an answer cites."""

    number: int = Field(description="The number in brackets that cites it in the answer.")


class AnswerResult(BaseModel):
    """An answer with the passages that it cites."""

    question: str = Field(description="The question.")
    text: str = Field(description="The answer, with numbers in brackets for the citations.")
    found: bool = Field(description="False if the documents hold no answer; the text then says so.")
    citations: list[CitedPassage] = Field(description="The cited passages.")

    @classmethod
    def of(cls, answer: Answer) -> AnswerResult:
        """Return a checked answer."""
        return cls(
            question=answer.question,
            text=answer.text,
            found=answer.found,
            citations=[
                CitedPassage(number=citation.number, **Passage.of(citation.hit).model_dump())
                for citation in answer.citations
            ],
        )


class DocumentText(BaseModel):
    """A part of the text of a document."""

    source: str = Field(description="The document.")
    collection: str = Field(default="", description="The collection it is in, where there are several; else empty.")
    title: str = Field(description="Its title.")
    format: str = Field(description="Its format.")
    place: str = Field(description="What the text is of it: 'lines 1 to 40', 'page 3', 'slide 3'; else empty.")
    page: int | None = Field(description="The page that the text begins on, if any.")
    line: int | None = Field(description="The line that the text begins on, if any.")
    headings: list[str] = Field(description="The headings above its beginning, outermost first.")
    text: str = Field(description="The text.")
    start: int = Field(description="The character of the document that the text begins with, from 0.")
    end: int = Field(description="The character after its last one.")
    length: int = Field(description="How many characters the whole document has.")
    next_start: int | None = Field(description="The `start` to read on from, or null at the end of the document.")

    @classmethod
    def of(cls, document: IndexedDocument, excerpt: Excerpt, *, collection: str = "") -> DocumentText:
        """Return an excerpt of a document."""
        length = len(document.text)
        return cls(
            source=document.path,
            collection=collection,
            title=document.title,
            format=document.format,
            place=excerpt.place,
            page=excerpt.page,
            line=excerpt.line,
            headings=[*excerpt.headings],
            text=excerpt.text,
            start=excerpt.start,
            end=excerpt.end,
            length=length,
            next_start=excerpt.end if excerpt.end < length else None,
        )


class DocumentEntry(BaseModel):
    """A document of the index."""

    source: str = Field(description="The document, as `read` takes it.")
    collection: str = Field(default="", description="The collection it is in, where there are several; else empty.")
    title: str = Field(description="Its title.")
    format: str = Field(description="Its format, such as 'markdown' or 'pdf'.")
    size: int = Field(description="The size of its file in bytes, or of the archive that it is in.")
    passages: int = Field(description="How many passages it has.")
    failure: str | None = Field(description="Why it could not be read, or null.")

    @classmethod
    def of(cls, document: ListedDocument, *, collection: str) -> DocumentEntry:
        """Return a listed document."""
        return cls(
            source=document.path,
            collection=collection,
            title=document.title,
            format=document.format,
            size=document.size,
            passages=document.passages,
            failure=document.failure,
        )


class DocumentList(BaseModel):
    """One page of the documents, ordered by collection and path."""

    documents: list[DocumentEntry] = Field(description="The documents.")
    total: int = Field(description="How many documents match, on all pages.")
    offset: int = Field(description="How many of them are on earlier pages.")
    next_offset: int | None = Field(description="The `offset` of the next page, or null on the last one.")


class Failure(BaseModel):
    """A file that could not be read."""

    source: str = Field(description="The file.")
    reason: str = Field(description="Why it could not be read.")


class CollectionStatus(BaseModel):
    """What one collection holds."""

    name: str = Field(description="Its name; empty for a single index without one.")
    about: str = Field(description="What its documents are about, if the user has said so.")
    documents: int = Field(description="How many documents it has.")
    passages: int = Field(description="How many passages they have.")
    finished: str = Field(description="When its last build ended, in UTC.")
    problem: str = Field(default="", description="Why it cannot be searched; empty if it can.")

    @classmethod
    def of(cls, collection: Collection, facts: dict[str, Any] | EchoIndexError) -> CollectionStatus:
        """Return the status of a collection from the facts of its index, or from why there are none."""
        if isinstance(facts, EchoIndexError):
            return cls(
                name=collection.name, about=collection.about, documents=0, passages=0, finished="", problem=str(facts)
            )
        return cls(
            name=collection.name,
            about=collection.about or facts["context"],
            documents=facts["documents"],
            passages=facts["chunks"],
            finished=facts["finished"],
        )


class StatusResult(BaseModel):
    """What is indexed, and how; of several collections, together."""

    documents: int = Field(description="How many documents are indexed.")
    passages: int = Field(description="How many passages they have.")
    formats: dict[str, int] = Field(description="How many documents there are of each format.")
    finished: str = Field(description="When the last build ended, in UTC.")
    generation: int = Field(description="A number that every change increases.")
    model: str = Field(description="The model that embeds.")
    disk_bytes: int = Field(description="The size on disk; 0 for an index in a store.")
    failures: list[Failure] = Field(description="Files that could not be read; the first twenty.")
    failed: int = Field(description="How many files could not be read.")
    incomplete: int = Field(description="Of how many documents some part, such as a scanned page, has no text.")
    collections: list[CollectionStatus] = Field(description="What each collection holds.")

    @classmethod
    def of(cls, facts_or_errors: Mapping[Collection, dict[str, Any] | EchoIndexError]) -> StatusResult:
        """Return the status of indexes from their facts, or from why there are none.

        Raises:
            EchoIndexError: there are none of any index.
        """
        facts = [each for each in facts_or_errors.values() if not isinstance(each, EchoIndexError)]
        if not facts:
            raise next(error for error in facts_or_errors.values() if isinstance(error, EchoIndexError))
        formats: Counter[str] = Counter()
        for each in facts:
            formats.update(each["formats"])
        failures = [Failure(source=path, reason=why) for each in facts for path, why in each["failures"]]
        return cls(
            documents=sum(each["documents"] for each in facts),
            passages=sum(each["chunks"] for each in facts),
            formats=dict(formats.most_common()),
            finished=max(each["finished"] for each in facts),
            generation=sum(each["generation"] for each in facts),
            model=str(facts[0]["encoder"]["model"]),
            disk_bytes=sum(each["disk_bytes"] or 0 for each in facts),
            failures=failures[:_MAX_FAILURES],
            failed=len(failures),
            incomplete=sum(len({path for path, _ in each["omissions"]}) for each in facts),
            collections=[CollectionStatus.of(*each) for each in facts_or_errors.items()],
        )
