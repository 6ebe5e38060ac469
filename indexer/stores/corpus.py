"""What is published to a store: a generation as its manifest, its documents, and blocks of their passages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from echo_index.indexer.catalog.exchange_rows import PassageBlock
from echo_index.indexer.catalog.records import Counts, DocumentRow
from echo_index.indexer.generations.manifest import Manifest
from echo_index.indexer.sources.skipped_files import SkippedFiles
from echo_index.indexer.stores.index_reader import IndexDocuments


@dataclass(frozen=True, slots=True)
class CorpusFacts:
    """What is known of all documents of a generation together, see `IndexDocuments`."""

    counts: Counts
    formats: dict[str, int]
    field_counts: dict[str, int]
    languages: list[str]
    failures: list[tuple[str, str]]
    omissions: list[tuple[str, str]]
    recognitions: list[tuple[str, str]]
    skipped: SkippedFiles
    ocr: bool

    @classmethod
    def of(cls, documents: IndexDocuments, *, languages: list[str]) -> CorpusFacts:
        """Return what is known of the documents of an index."""
        return cls(
            documents.counts(),
            documents.formats(),
            documents.field_counts(),
            languages,
            documents.failures(),
            documents.omissions(),
            documents.recognitions(),
            documents.skipped(),
            documents.ocr,
        )

    def as_text(self) -> str:
        """Return the facts as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> CorpusFacts:
        """Parse the JSON of `as_text`."""
        fields: dict[str, Any] = json.loads(text)
        pairs: dict[str, Any] = {name: [(path, phrase) for path, phrase in fields.pop(name)] for name in _PAIRS}
        return cls(
            counts=Counts(**fields.pop("counts")), skipped=SkippedFiles.parse(fields.pop("skipped")), **pairs, **fields
        )


_PAIRS = ("failures", "omissions", "recognitions")


@dataclass(frozen=True, slots=True)
class PublishedDocument:
    """A version of a document, and the number of its passages.

    `version` tells it from other versions of the document: what was published under it is not published again.
    """

    row: DocumentRow
    version: str
    passages: int


@dataclass(frozen=True, slots=True)
class PublicationReport:
    """How many documents and passages were written to a store, and how many documents are gone from it."""

    store: str
    documents: int
    passages: int
    removed: int


class Corpus(Protocol):
    """One generation of an index, from wherever its documents come. See `CatalogCorpus`."""

    @property
    def owner(self) -> str:
        """Tells the index from all others."""
        ...

    @property
    def edition(self) -> str:
        """Changes whenever the vectors of all passages change."""
        ...

    @property
    def manifest(self) -> Manifest:
        """How the generation was built."""
        ...

    def facts(self) -> CorpusFacts:
        """Return what is known of all documents together."""
        ...

    def documents(self) -> Iterator[PublishedDocument]:
        """Yield the documents of the generation, in any order."""
        ...

    def passages(self, paths: Sequence[str]) -> Iterator[PassageBlock]:
        """Yield the passages of these documents in blocks, those of a document in reading order."""
        ...
