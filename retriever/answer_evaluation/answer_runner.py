"""Let a writer answer questions from the passages that a search finds, with and without the right documents."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from langchain_core.language_models import BaseChatModel

from echo_index.indexer.inspection.document_queries import list_documents
from echo_index.retriever.answer_evaluation.answer_metrics import exact_match, holds_gold, token_f1
from echo_index.retriever.answer_evaluation.answer_questions import AnswerQuestion
from echo_index.retriever.answer_evaluation.answer_store import AnswerStore, WrittenText, prompt_key
from echo_index.retriever.rag.answer_prompt import Prompt, answer_prompt
from echo_index.retriever.rag.answer_stream import begin_answer
from echo_index.retriever.rag.citations import Answer, says_not_found, without_markers
from echo_index.retriever.rag.passage_choice import MAX_PASSAGES, choose_passages
from echo_index.retriever.search.hits import Hit
from echo_index.retriever.search.retriever import Retriever

Outcome = Literal["answered", "refused", "withdrawn"]
"""Whether there is an answer; if not, whether the writer found nothing, or the checks withdrew what it wrote."""
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class AnswerRecord:
    """One answer and how it compares with the gold answers.

    Attributes:
        id: Of the question.
        documents_removed: The documents with the answer were taken out, so that nothing should be found.
        right_retrieved: A passage of a document with the answer was given to the writer.
        passages: (document, start, end) of each passage, in characters.
        written: The text as the writer wrote it.
        text: The checked answer that a user sees.
        written_holds_gold: The text as it was written contains a gold answer.
        f1: Of the words of the checked answer, 0 to 1.
        cited: The documents of the cited passages.
        cited_right: How many of the citations are of a document with the answer.
        seconds: Until the end of the text; `first_word_seconds` until its first word.
    """

    id: str
    question: str
    gold: tuple[str, ...]
    documents: tuple[str, ...]
    documents_removed: bool
    right_retrieved: bool
    passages: tuple[tuple[str, int, int], ...]
    written: str
    text: str
    outcome: Outcome
    holds_gold: bool
    written_holds_gold: bool
    exact_match: bool
    f1: float
    cited: tuple[str, ...]
    cited_right: int
    first_word_seconds: float
    seconds: float


def answer_questions(
    questions: Sequence[AnswerQuestion],
    retriever: Retriever,
    model: BaseChatModel,
    *,
    passages: int | None,
    store: AnswerStore,
    progress: Progress = lambda doing, done, total: None,
) -> Iterator[AnswerRecord]:
    """Yield an answer to each question, then one to each with its documents taken out of what the search found.

    The model is given the best `passages`, duplicates grouped and neighbours joined; None for as many as `ask`
    gives it by itself. What `store` has of the same prompt is not written again.

    Raises:
        TextError: not even one passage fits into the context of the model.
        ModelError, IndexMismatch: as in `Retriever.search`.
    """
    search = QuestionSearch(retriever, passages=passages)
    for documents_removed, doing in ((False, "answering"), (True, "answering without the right documents")):
        for done, question in enumerate(questions, start=1):
            hits = search.find(question, documents_removed=documents_removed)
            given = choose_passages(question.question, hits, model=model, k=passages)
            prompt = answer_prompt(question.question, given, model=model)
            yield _record(question, prompt, _written(prompt, model, store), model, documents_removed, retriever)
            progress(doing, done, len(questions))


class QuestionSearch:
    """Finds the best `passages` for questions, duplicates grouped; MAX_PASSAGES if that is None."""

    def __init__(self, retriever: Retriever, *, passages: int | None) -> None:
        self._retriever, self._passages = retriever, passages or MAX_PASSAGES
        with retriever.snapshot.reading():
            self._sizes = {document.path: document.passages for document in list_documents(retriever.snapshot)}

    def find(self, question: AnswerQuestion, *, documents_removed: bool) -> list[Hit]:
        """Return the best passages; if wanted, those that would be best without the documents of the question.

        Raises:
            ModelError, IndexMismatch: as in `Retriever.search`.
        """
        more = sum(self._sizes.get(document, 0) for document in question.documents) if documents_removed else 0
        hits = self._retriever.search(question.question, k=self._passages + more, group=True)
        return [hit for hit in hits if not documents_removed or not is_right(hit, question)][: self._passages]


def _written(prompt: Prompt, model: BaseChatModel, store: AnswerStore) -> WrittenText:
    if not prompt.turns:
        return WrittenText("", 0.0, 0.0)
    key = prompt_key(prompt)
    if (written := store.get(key)) is None:
        began, first, text = time.perf_counter(), None, ""
        for piece in prompt.stream(model):
            text += piece
            if first is None and text.strip():
                first = time.perf_counter() - began
        seconds = time.perf_counter() - began
        written = WrittenText(text, seconds if first is None else first, seconds)
        store.put(key, written)
    return written


def _record(
    question: AnswerQuestion,
    prompt: Prompt,
    written: WrittenText,
    model: BaseChatModel,
    documents_removed: bool,
    retriever: Retriever,
) -> AnswerRecord:
    checked = begin_answer(prompt, model=model, embed=retriever.embed_sentences)
    checked.add(written.text)
    answer = checked.answer
    text = without_markers(answer.text) if answer.found else ""
    cited = [citation.hit for citation in answer.citations]
    return AnswerRecord(
        id=question.id,
        question=question.question,
        gold=question.answers,
        documents=question.documents,
        documents_removed=documents_removed,
        right_retrieved=any(is_right(hit, question) for hit in prompt.passages),
        passages=tuple((hit.source, hit.start, hit.end) for hit in prompt.passages),
        written=written.text,
        text=answer.text,
        outcome=_outcome(answer, written.text),
        holds_gold=holds_gold(text, question.answers),
        written_holds_gold=holds_gold(without_markers(written.text), question.answers),
        exact_match=exact_match(text, question.answers),
        f1=token_f1(text, question.answers),
        cited=tuple(hit.source for hit in cited),
        cited_right=sum(is_right(hit, question) for hit in cited),
        first_word_seconds=written.first_word_seconds,
        seconds=written.seconds,
    )


def _outcome(answer: Answer, written: str) -> Outcome:
    if answer.found:
        return "answered"
    return "refused" if not written.strip() or says_not_found(written) else "withdrawn"


def is_right(hit: Hit, question: AnswerQuestion) -> bool:
    """Return whether a passage, or a duplicate grouped under it, is of a document with the answer."""
    sources = {hit.source, *(duplicate.source for duplicate in hit.duplicates)}
    return not sources.isdisjoint(question.documents)
