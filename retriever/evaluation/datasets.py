"""What is evaluated on: questions with what is right for them. Knows the files, nothing of how anything is ranked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from echo_index.indexer.documents.document import Document
from echo_index.retriever.evaluation.record_reader import json_lines

CORPUS = "corpus.jsonl"


@dataclass(frozen=True, slots=True)
class RelevanceJudgement:
    """What is right for a question: a document, or what in it holds a quotation. `grade` is how right; 0 is wrong.

    `line` is where in its file it was read.
    """

    document: str
    grade: int = 1
    quotation: str = ""
    line: int = 0

    @property
    def key(self) -> str:
        """What it is called in rankings and judgements."""
        return f"{self.document}\n{self.quotation}" if self.quotation else self.document

    def is_in(self, document: str, text: str) -> bool:
        """Return whether a passage with this text is, or holds, what is right; white space does not count."""
        return document == self.document and (not self.quotation or _spaced_once(self.quotation) in _spaced_once(text))


@dataclass(frozen=True, slots=True)
class EvaluationQuery:
    """A question, and all that is judged for it."""

    id: str
    text: str
    judgements: tuple[RelevanceJudgement, ...]

    @property
    def grades(self) -> dict[str, int]:
        """The grade of each right document or passage, by its key."""
        return {each.key: each.grade for each in self.judgements}

    def keys(self, document: str, text: str) -> list[str]:
        """Return what a passage counts as for this question: what is right in it, else its document."""
        return [each.key for each in self.judgements if each.is_in(document, text)] or [document]


@dataclass(frozen=True, slots=True)
class BeirDataset:
    """A corpus with questions in the layout of BEIR (arXiv 2104.08663): only questions that are judged."""

    name: str
    folder: Path
    queries: tuple[EvaluationQuery, ...]

    def documents(self) -> Iterator[tuple[str, Document]]:
        """Yield each document under its id. One that has only a title has it as its text.

        Raises:
            SourceError: a line of the corpus is no document.
        """
        path = self.folder / CORPUS
        for line in json_lines(path):
            title = " ".join(line.text("title", default="").split())
            text = line.text("text", default="")
            yield line.text("_id"), Document(text or title, title, format="text", has_own_title=bool(title))

    def fingerprint(self) -> str:
        """Return the SHA-256 of the corpus, in hexadecimal."""
        with (self.folder / CORPUS).open("rb") as file:
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class QuestionFile:
    """Questions about what an existing index holds."""

    name: str
    path: Path
    queries: tuple[EvaluationQuery, ...]


@dataclass(frozen=True, slots=True)
class SentencePairs:
    """Pairs of sentences, and how alike people found them: the higher the score, the more."""

    name: str
    path: Path
    first: tuple[str, ...]
    second: tuple[str, ...]
    scores: tuple[float, ...]


EvaluationInput = BeirDataset | QuestionFile | SentencePairs


def _spaced_once(text: str) -> str:
    return " ".join(text.split())
