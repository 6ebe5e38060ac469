"""Evaluation datasets: queries with relevance judgements, and sentence pairs with similarity scores."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from echo_index.indexer.documents.document import Document
from echo_index.retriever.evaluation.record_reader import read_json_lines

CORPUS = "corpus.jsonl"


@dataclass(frozen=True, slots=True)
class RelevanceJudgement:
    """Relevance of a document to a query, or of the chunks of it that contain a quotation. Grade 0 is not relevant.

    `line` is the line number in the file that it was read from.
    """

    document: str
    grade: int = 1
    quotation: str = ""
    line: int = 0

    @property
    def key(self) -> str:
        """Identifier of the judged document or passage in rankings."""
        return f"{self.document}\n{self.quotation}" if self.quotation else self.document

    def applies_to(self, document: str, text: str) -> bool:
        """Return whether the judgement applies to a chunk of `document`; white space in quotations is ignored."""
        return document == self.document and (
            not self.quotation or _collapse_spaces(self.quotation) in _collapse_spaces(text)
        )


@dataclass(frozen=True, slots=True)
class EvaluationQuery:
    """A query and its relevance judgements.

    `own_document` is the id of the document that is the query itself, if there is one: its ranking leaves it out.
    """

    id: str
    text: str
    judgements: tuple[RelevanceJudgement, ...]
    own_document: str | None = None

    @property
    def grades(self) -> dict[str, int]:
        """The grade of each judged document or passage, by its key."""
        return {judgement.key: judgement.grade for judgement in self.judgements}

    def keys(self, document: str, text: str) -> list[str]:
        """Return the keys of the judgements that apply to a chunk of `document`, or the document if none does."""
        keys = [judgement.key for judgement in self.judgements if judgement.applies_to(document, text)]
        return keys or [document]


@dataclass(frozen=True, slots=True)
class BeirDataset:
    """A corpus with its judged queries, in the layout of BEIR (arXiv 2104.08663)."""

    name: str
    folder: Path
    queries: tuple[EvaluationQuery, ...]

    def documents(self) -> Iterator[tuple[str, Document]]:
        """Yield (id, document). A document with only a title has it as its text.

        Raises:
            SourceError: a line of the corpus is malformed.
        """
        path = self.folder / CORPUS
        for line in read_json_lines(path):
            title = " ".join(line.text("title", default="").split())
            text = line.text("text", default="")
            yield line.text("_id"), Document(text or title, title, format="text", has_own_title=bool(title))

    def fingerprint(self) -> str:
        """Return the SHA-256 of the corpus file in hexadecimal."""
        with (self.folder / CORPUS).open("rb") as file:
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class QuestionFile:
    """Questions about the documents of an existing index."""

    name: str
    path: Path
    queries: tuple[EvaluationQuery, ...]


@dataclass(frozen=True, slots=True)
class SentencePairs:
    """Pairs of sentences with human similarity scores; higher is more similar."""

    name: str
    path: Path
    first: tuple[str, ...]
    second: tuple[str, ...]
    scores: tuple[float, ...]


EvaluationInput = BeirDataset | QuestionFile | SentencePairs


def _collapse_spaces(text: str) -> str:
    return " ".join(text.split())
