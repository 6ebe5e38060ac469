"""Training pairs from the chunks of an index: questions that a model wrote, where a search finds the chunk again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from echo_index.embeddings.training.pairs import TrainingPair
from echo_index.indexer.catalog.chunk_queries import sample_chunks
from echo_index.indexer.documents.chunking import embedded_text
from echo_index.retriever.tuning.inverse_cloze import SourcePassage
from echo_index.retriever.tuning.question_writer import PROMPT_VERSION, QuestionKind, QuestionWriter, WrittenQuestion

if TYPE_CHECKING:
    from echo_index.indexer.generations.snapshot import Snapshot
    from echo_index.retriever.evaluation.line_store import LineStore
    from echo_index.retriever.search.searcher import Searcher

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many are done, and how many there are."""

_SOURCE = "index, {}"
_PASSAGES_AT_ONCE = 96  # what is lost at most if the writing is interrupted, and enough for all cores
_FOUND_AMONG = 3  # hits; a question for which others are nearer is too vague, or wrong
_RERANKED = 10  # hits that are reranked if the passage is among them, but not among the first


@dataclass(frozen=True, slots=True)
class WrittenPairs:
    """Pairs of questions and their passages, and of how many questions for how many passages they were chosen."""

    pairs: tuple[TrainingPair, ...]
    questions: int
    passages: int


def sample_passages(snapshot: Snapshot, *, limit: int) -> list[SourcePassage]:
    """Return up to `limit` different chunks of an index; the same index gives the same chunks."""
    sample = sample_chunks(snapshot.catalog, generation=snapshot.manifest.generation, most=limit)
    return [SourcePassage(path, text) for _, path, text in sample]


def consistent_pairs(
    passages: Sequence[SourcePassage],
    searcher: Searcher,
    writer: QuestionWriter,
    store: LineStore,
    *,
    progress: Progress = lambda label, done, total: None,
) -> WrittenPairs:
    """Return pairs of the questions that a model writes for passages, and these passages.

    A question is kept if it is consistent: hybrid search for it finds the passage among the first three, if need be
    after reranking the first ten by query likelihood. (Round-trip consistency: Alberti et al., arXiv 1906.05416;
    Promptagator, arXiv 2209.11755.) Pairs have one source for each kind of question.

    What is written is stored: the questions of passages in the store are not written again.

    Raises:
        EchoIndexError: the store cannot be written.
    """
    keys = [_key(writer, passage) for passage in passages]
    _write_missing(passages, keys, writer, store, progress)
    written = [_stored_questions(store, key) for key in keys]
    count, done = sum(len(questions) for questions in written), 0
    pairs = []
    for passage, questions in zip(passages, written, strict=True):
        for question in questions:
            if _finds(searcher, question.text, passage):
                text = embedded_text("", passage.headings, passage.text)
                pairs.append(TrainingPair(question.text, text, source=_SOURCE.format(question.kind.value.lower())))
            done += 1
            progress("Searching for the questions", done, count)
    return WrittenPairs(tuple(pairs), count, len(passages))


def _write_missing(
    passages: Sequence[SourcePassage],
    keys: Sequence[str],
    writer: QuestionWriter,
    store: LineStore,
    progress: Progress,
) -> None:
    missing = [number for number, key in enumerate(keys) if store.get(key) is None]
    done = len(passages) - len(missing)
    for start in range(0, len(missing), _PASSAGES_AT_ONCE):
        numbers = missing[start : start + _PASSAGES_AT_ONCE]
        for position, questions in writer.write([passages[number] for number in numbers]):
            texts = {question.kind.value: question.text for question in questions}
            store.put(keys[numbers[position]], {"questions": texts})
            done += 1
            progress("Writing questions for passages", done, len(passages))


def _stored_questions(store: LineStore, key: str) -> list[WrittenQuestion]:
    texts = (store.get(key) or {}).get("questions")
    if not isinstance(texts, dict):
        return []
    return [WrittenQuestion(kind, str(texts[kind.value])) for kind in QuestionKind if kind.value in texts]


def _finds(searcher: Searcher, question: str, passage: SourcePassage) -> bool:
    hits = searcher.search(question, k=_RERANKED)
    if passage.text in [hit.full_text for hit in hits[:_FOUND_AMONG]]:
        return True
    if passage.text not in [hit.full_text for hit in hits]:
        return False
    reranked = searcher.search(question, k=_FOUND_AMONG, rerank=_RERANKED)
    return passage.text in [hit.full_text for hit in reranked]


def _key(writer: QuestionWriter, passage: SourcePassage) -> str:
    content = json.dumps([PROMPT_VERSION, writer.weights_hash, passage.headings, passage.text], ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()
