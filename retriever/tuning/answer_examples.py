"""Examples for an adapter that answers: questions with passages that a search finds, and the right cited answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from echo_index.embeddings.generation.chat_template import COMPLETION_END
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.training.continuation_trainer import Continuation, PromptGroup
from echo_index.retriever.answer_evaluation.answer_metrics import holds_gold
from echo_index.retriever.answer_evaluation.answer_questions import AnswerQuestion
from echo_index.retriever.answer_evaluation.answer_runner import QuestionSearch, is_right
from echo_index.retriever.rag.answer_prompt import REFUSAL, adapter_prompt
from echo_index.retriever.search.hits import Hit
from echo_index.retriever.search.neighbours import join_neighbours
from echo_index.retriever.search.retriever import Retriever

_MAX_PROMPTS = 16
"""Questions after the same passages; more would repeat one document too much within a batch."""


def answer_examples(
    questions: Sequence[AnswerQuestion],
    retriever: Retriever,
    model: LanguageModel,
    *,
    passages: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[PromptGroup]:
    """Return up to two examples a question: its answer from the best passages, and a refusal without its documents.

    The answer is the first gold answer and the number of the first passage of a right document that has it. It is left
    out if there is no such passage; the refusal is left out if a passage of another document has a gold answer.

    Questions that the same passages answer, or that are about the same documents, share the passages of the first of
    them, which the training then reads once: with six questions a group it is three times as fast.
    """
    search = QuestionSearch(retriever, passages=passages)
    groups = []
    done = 0
    for documents_removed in (False, True):
        waiting = dict(enumerate(questions))
        while waiting:
            position, question = next(iter(waiting.items()))
            hits = join_neighbours(search.find(question, documents_removed=documents_removed))
            companions = _companions(waiting, question, hits, documents_removed) if hits else ()
            targets = {
                other: target
                for other, companion in islice(companions, _MAX_PROMPTS)
                if (target := _target(companion, hits, documents_removed)) is not None
            }
            if targets:
                examples = [_example(waiting[other].question, hits, targets[other], model) for other in targets]
                groups.append(PromptGroup.of(examples))
            for other in {position, *targets}:
                del waiting[other]
                done += 1
            progress(done, 2 * len(questions))
    return groups


def _companions(
    waiting: Mapping[int, AnswerQuestion], question: AnswerQuestion, hits: Sequence[Hit], documents_removed: bool
) -> Iterator[tuple[int, AnswerQuestion]]:
    """Yield the question, and those that can be asked of its passages, too."""
    for position, other in waiting.items():
        if other is question or (
            other.documents == question.documents if documents_removed else any(is_right(hit, other) for hit in hits)
        ):
            yield position, other


def _target(question: AnswerQuestion, hits: Sequence[Hit], documents_removed: bool) -> str | None:
    return _refusal(question, hits) if documents_removed else _answer(question, hits)


def _answer(question: AnswerQuestion, hits: Sequence[Hit]) -> str | None:
    gold = question.answers[0]
    for number, hit in enumerate(hits, start=1):
        if is_right(hit, question) and holds_gold(hit.text, [gold]):
            return f"{gold} [{number}]"
    return None


def _refusal(question: AnswerQuestion, hits: Sequence[Hit]) -> str | None:
    return None if any(holds_gold(hit.text, question.answers) for hit in hits) else REFUSAL


def _example(question: str, hits: Sequence[Hit], target: str, model: LanguageModel) -> Continuation:
    prompt = adapter_prompt(question, hits, model).ids
    return Continuation(prompt, tuple(model.tokenizer.encode(f" {target}{COMPLETION_END}")))
