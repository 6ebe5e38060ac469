"""The documents of a generation in Milvus, and which of them meet a filter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from echo_index.indexer.catalog.chunk_queries import DocumentSelection, ListedRow
from echo_index.indexer.catalog.document_fields import ALWAYS, searchable_fields
from echo_index.indexer.catalog.document_names import documents_of_names
from echo_index.indexer.catalog.records import ARCHIVE, Counts, DocumentRow, SearchFilter, StoredChunk
from echo_index.indexer.conditions.tree import fields_of, matches
from echo_index.indexer.sources.skipped_files import SkippedFiles
from echo_index.indexer.storage.file_times import has_time
from echo_index.indexer.stores.corpus import CorpusFacts
from echo_index.indexer.stores.milvus.connection import MilvusConnection
from echo_index.indexer.stores.milvus.layout import NO_FILTER, PASSAGE_FIELDS, Edition
from echo_index.indexer.stores.milvus.rows import DOCUMENT_FIELDS, in_list, stored_document, stored_passage

_MOST_KEYS = 1000  # documents that a condition names one by one rather than those that it leaves out
_HERE = Path(".echo-index")  # names of documents are read as if this folder were the index


@dataclass(frozen=True, slots=True)
class _Listed:
    """A document as the collection of documents lists it."""

    key: int
    path: str
    archive: str
    format: str
    title: str
    size: int
    modified_ns: int
    passages: int
    failure: str | None


@dataclass(frozen=True, eq=False)
class MilvusDocuments:
    """The `IndexDocuments` of an index in Milvus.

    `visible` is the condition that a document belongs to the generation, `visible_passage` that for passages, and
    `fresh` says whether all writes before must be seen.
    """

    connection: MilvusConnection
    edition: Edition
    facts: CorpusFacts
    visible: str
    visible_passage: str
    fresh: Callable[[], bool]

    knows_fields = True

    @property
    def ocr(self) -> bool:
        """Whether builds recognize pictures."""
        return self.facts.ocr

    def counts(self) -> Counts:
        """Return the sizes of the generation."""
        return self.facts.counts

    def formats(self) -> dict[str, int]:
        """Return the number of readable documents of each format, the most frequent format first."""
        return self.facts.formats

    def field_counts(self) -> dict[str, int]:
        """Return the number of documents that have each field, of those that they have of themselves."""
        return self.facts.field_counts

    def failures(self) -> list[tuple[str, str]]:
        """Return (path, reason) of the documents that could not be read, ordered by path."""
        return self.facts.failures

    def omissions(self) -> list[tuple[str, str]]:
        """Return (path, phrase) for all that the texts of documents lack of their files, ordered by path."""
        return self.facts.omissions

    def recognitions(self) -> list[tuple[str, str]]:
        """Return (path, phrase) for all documents of which something was recognized in pictures, ordered by path."""
        return self.facts.recognitions

    def skipped(self) -> SkippedFiles:
        """Return the files that the newest builds passed over."""
        return self.facts.skipped

    def archives(self) -> dict[str, str]:
        """Return the stored paths of all documents and archives, each with that of the archive it is in, or ''."""
        return {document.path: document.archive for document in self._all}

    def listed(self) -> list[ListedRow]:
        """Return all documents, ordered by path; archives only if they could not be read."""
        return [
            (document.path, document.title, document.format, document.size, document.passages, document.failure)
            for document in self._all
            if document.failure is not None or document.format != ARCHIVE
        ]

    def page(self, selection: DocumentSelection, *, offset: int, limit: int) -> list[ListedRow]:
        """Return up to `limit` rows of `listed` that are selected, without the first `offset` of them."""
        return self._selected(selection)[offset : offset + limit]

    def count(self, selection: DocumentSelection) -> int:
        """Return how many rows of `listed` are selected."""
        return len(self._selected(selection))

    def find(self, path: str) -> DocumentRow | None:
        """Return the document with this stored path, or None; its fields are left out."""
        rows = self.connection.query(
            self.edition.documents,
            f"{self.visible} and {in_list('path', [path])}",
            ["record"],
            fresh=self.fresh(),
        )
        return stored_document(rows[0]) if rows else None

    def chunks(self, path: str, *, start: int | None = None) -> list[StoredChunk]:
        """Return the chunks of a document in reading order, or only the one that begins at offset `start`."""
        condition = f"{self.passages_of(path)}{'' if start is None else f' and start == {start}'}"
        rows = self.connection.stream(self.edition.passages, condition, PASSAGE_FIELDS, fresh=self.fresh())
        return sorted(map(stored_passage, rows), key=lambda stored: stored.chunk.start)

    def chunks_before(self, path: str, start: int, *, most: int) -> list[StoredChunk]:
        """Return up to `most` chunks before the one that begins at `start`, and that one; none if none begins there."""
        condition = f"{self.passages_of(path)} and start <= {start}"
        rows = [*self.connection.stream(self.edition.passages, condition, ["id", "start"], fresh=self.fresh())]
        nearest = sorted(rows, key=lambda row: -int(row["start"]))[: most + 1]
        if not nearest or nearest[0]["start"] != start:
            return []
        found = self.connection.query(
            self.edition.passages,
            in_list("id", [int(row["id"]) for row in nearest]),
            PASSAGE_FIELDS,
            fresh=self.fresh(),
        )
        return sorted(map(stored_passage, found), key=lambda stored: stored.chunk.start)

    def passages_of(self, path: str) -> str:
        """Return the condition that a passage is one of a document."""
        return f"{self.visible_passage} and {in_list('path', [path])}"

    def condition(self, where: SearchFilter) -> str:
        """Return the condition that a passage is in a document that meets a filter."""
        if where == NO_FILTER:
            return self.visible_passage
        if where == SearchFilter(formats=where.formats):
            return f"{self.visible_passage} and {in_list('format', where.formats)}"
        met = self._meeting(where)
        others = [document.key for document in self._all if document.key not in met]
        if not others:
            return self.visible_passage
        is_shorter = len(met) <= max(_MOST_KEYS, len(others))
        listed = in_list("document", sorted(met)) if is_shorter else in_list("document", others, negated=True)
        return f"{self.visible_passage} and {listed}"

    def _meeting(self, where: SearchFilter) -> set[int]:
        """Return the keys of the documents that meet a filter."""
        named = documents_of_names(where.paths, self.archives(), _HERE) if where.paths else None
        met = {
            document.key: document
            for document in self._all
            if (named is None or document.path in named)
            and (not where.formats or document.format in where.formats)
            and (where.since is None or (has_time(document.modified_ns) and document.modified_ns >= where.since))
            and (where.before is None or (has_time(document.modified_ns) and document.modified_ns < where.before))
        }
        if where.where is None:
            return {*met}
        wanted = {*fields_of(where.where)}
        own = self._own_fields if wanted.difference(ALWAYS) else {}
        return {
            key
            for key, each in met.items()
            if matches(
                where.where,
                searchable_fields(
                    (each.path, each.title, each.format, each.size, each.modified_ns, own.get(key, "{}")), wanted
                ),
            )
        }

    def _selected(self, selection: DocumentSelection) -> list[ListedRow]:
        wanted = selection.contains.casefold()
        return [
            row
            for row in self.listed()
            if row[0] > selection.after
            and not (selection.readable and row[5] is not None)
            and (wanted in row[0].casefold() or (selection.in_titles and wanted in row[1].casefold()))
        ]

    @cached_property
    def _all(self) -> list[_Listed]:
        rows = self.connection.stream(self.edition.documents, self.visible, DOCUMENT_FIELDS, fresh=self.fresh())
        return sorted(map(_listed, rows), key=lambda document: document.path)

    @cached_property
    def _own_fields(self) -> dict[int, str]:
        """What each document says of itself, as JSON, by its key."""
        condition = f'{self.visible} and fields != "{{}}"'
        rows = self.connection.stream(self.edition.documents, condition, ["id", "fields"], fresh=self.fresh())
        return {int(row["id"]): str(row["fields"]) for row in rows}


def _listed(row: dict[str, Any]) -> _Listed:
    return _Listed(
        int(row["id"]),
        row["path"],
        row["archive"],
        row["format"],
        row["title"],
        int(row["size"]),
        int(row["modified_ns"]),
        int(row["passages"]),
        stored_document(row).failure,
    )
