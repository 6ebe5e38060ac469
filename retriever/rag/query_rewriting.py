"""Rewrite a follow-up question so that it can be searched for without the conversation before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from echo_index.errors import QuestionError
from echo_index.retriever.rag.answer_prompt import FollowUp
from echo_index.retriever.rag.citations import says_not_found, without_markers
from echo_index.retriever.rag.local_writer import follows_instructions
from echo_index.retriever.search.content_terms import content_terms, short_text_language

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

_TASK = (
    "Rewrite the last question so that it can be understood without the conversation. "
    "Write only the question. Do not answer it."
)
_MAX_LENGTH = 400  # characters of a question
_MAX_HISTORY = 6  # messages that the model reads


@dataclass(frozen=True, slots=True)
class Conversation:
    """A question and the messages before it, oldest first.

    Raises:
        QuestionError: the question is empty.
    """

    question: str
    history: tuple[BaseMessage, ...] = ()

    def __post_init__(self) -> None:
        """Validate the question."""
        if not self.question.strip():
            raise QuestionError(f"The question is {self.question!r}.", remedy="Ask something.")

    @classmethod
    def from_exchanges(cls, question: str, exchanges: Sequence[tuple[str, str]]) -> Conversation:
        """Return a question after earlier (question, answer) pairs."""
        from langchain_core.messages import AIMessage, HumanMessage

        history = [message for asked, answer in exchanges for message in (HumanMessage(asked), AIMessage(answer))]
        return cls(question, tuple(history))


def rewriting_messages(conversation: Conversation, model: BaseChatModel) -> list[BaseMessage]:
    """Return the messages that make a model rewrite the question.

    Empty if there is no history, or if the model is a base model, which cannot rewrite.
    """
    if not conversation.history or not follows_instructions(model):
        return []
    from langchain_core.messages import HumanMessage, SystemMessage, get_buffer_string

    history = get_buffer_string(conversation.history[-_MAX_HISTORY:])
    return [SystemMessage(_TASK), HumanMessage(f"{history}\n\nThe last question: {conversation.question}")]


def standalone_query(conversation: Conversation, rewritten: str = "") -> str:
    """Return the query to search for: the rewritten question if it can be used, else a simple fallback.

    It can be used if it is a question of at most 400 characters in words of the conversation only. The fallback is the
    question itself, after the previous question if there is one.
    """
    if not conversation.history:
        return conversation.question
    lines = rewritten.strip().splitlines() or [""]
    query = lines[0].strip(" \"'")
    is_question = query.endswith(("?", "？", "؟")) and len(query) <= _MAX_LENGTH
    return query if is_question and _adds_no_words(query, conversation) else _with_previous_question(conversation)


def follow_up(conversation: Conversation) -> FollowUp | None:
    """Return the question as it was asked, with the exchange that it follows; None if there is no history."""
    if not conversation.history:
        return None
    from langchain_core.messages import AIMessage, HumanMessage

    match conversation.history[-2:]:
        case [HumanMessage() as question, AIMessage() as answer] if not says_not_found(str(answer.text)):
            return FollowUp(conversation.question, (str(question.text), without_markers(str(answer.text))))
        case _:
            return FollowUp(conversation.question, None)


def _adds_no_words(query: str, conversation: Conversation) -> bool:
    spoken = " ".join([conversation.question, *(str(message.text) for message in conversation.history)])
    language = short_text_language(spoken)
    return {*content_terms(query, language)} <= {*content_terms(spoken, language)}


def _with_previous_question(conversation: Conversation) -> str:
    from langchain_core.messages import HumanMessage

    questions = [str(message.text) for message in conversation.history if isinstance(message, HumanMessage)]
    return " ".join([*questions[-1:], conversation.question])
