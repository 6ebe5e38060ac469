"""Examples for an adapter that answers: questions with passages that a search finds, and the right cited answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from echo_index.embeddings.generation.chat_template import COMPLETION_END
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.training.continuation_trainer import Continuation
from echo_index.retriever.answer_evaluation.answer_metrics import holds_gold
from echo_index.retriever.answer_evaluation.answer_questions import AnswerQuestion
from echo_index.retriever.answer_evaluation.answer_runner import QuestionSearch, is_right
from echo_index.retriever.rag.answer_prompt import REFUSAL, adapter_prompt
from echo_index.retriever.search.hits import Hit
from echo_index.retriever.search.retriever import Retriever


def answer_examples(
    questions: Sequence[AnswerQuestion],
    retriever: Retriever,
    model: LanguageModel,
    *,
    passages: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Continuation]:
    """Return up to two examples a question: its answer from the best passages, and a refusal without its documents.

    The answer is the first gold answer and the number of the first passage of a right document that has it. It is left
    out if there is no such passage; the refusal is left out if a passage of another document has a gold answer.
    """
    search = QuestionSearch(retriever, passages=passages)
    examples = []
    for done, question in enumerate(questions, start=1):
        for documents_removed in (False, True):
            hits = search.find(question, documents_removed=documents_removed)
            target = _refusal(question, hits) if documents_removed else _answer(question, hits)
            if target is not None:
                examples.append(_example(question.question, hits, target, model))
        progress(done, len(questions))
    return examples


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
