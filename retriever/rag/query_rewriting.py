"""A follow-up question to one that can be searched for without the conversation. Knows questions, no passages."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, get_buffer_string
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import Runnable, RunnableBranch, RunnableLambda, RunnablePassthrough

from echo_index.retriever.rag.answer_prompt import FollowUp
from echo_index.retriever.rag.chat_model import EchoChatModel
from echo_index.retriever.rag.citations import says_not_found, without_markers
from echo_index.retriever.search.words import stems

_TASK = (
    "Rewrite the last question so that it can be understood without the conversation. "
    "Write only the question. Do not answer it."
)
_LONGEST = 400  # characters of a question
_LATEST = 6  # messages of the conversation that are looked back at


Asked = dict[str, Any]
"""`question`: str; `chat_history`: list[BaseMessage], what was said before it, oldest first."""


def standalone_query(chat_model: BaseChatModel) -> Runnable[Asked, str]:
    """Return what turns a question with its conversation into one that stands alone.

    A base model cannot do this: the question before is put in front instead. So it is where the model wrote no
    question, or one with words of its own.
    """
    rewrite = (RunnableLambda(_messages) | chat_model | StrOutputParser()).with_config(run_name="rewrite_follow_up")
    return RunnableBranch(
        (lambda asked: not asked["chat_history"], RunnableLambda(itemgetter("question"))),
        (lambda asked: not _is_able(chat_model), RunnableLambda(_joined)),
        RunnablePassthrough.assign(written=rewrite) | RunnableLambda(_checked),
    )


def follow_up(asked: Asked) -> FollowUp | None:
    """Return a question with what it goes on from; None where nothing was said before it."""
    match asked["chat_history"][-2:]:
        case []:
            return None
        case [HumanMessage() as before, AIMessage() as answer] if not says_not_found(str(answer.text)):
            return FollowUp(asked["question"], (str(before.text), without_markers(str(answer.text))))
        case _:
            return FollowUp(asked["question"], None)


def _is_able(chat_model: BaseChatModel) -> bool:
    return not isinstance(chat_model, EchoChatModel) or chat_model.load().generation_mode == "chat"


def _messages(asked: Asked) -> list[BaseMessage]:
    told = get_buffer_string(asked["chat_history"][-_LATEST:])
    return [SystemMessage(_TASK), HumanMessage(f"{told}\n\nThe last question: {asked['question']}")]


def _checked(asked: Asked) -> str:
    """Return what the model wrote if it is a question in words that were said, else what was asked, joined."""
    lines = asked["written"].strip().splitlines() or [""]
    written = lines[0].strip(" \"'")
    said = stems(" ".join([asked["question"], *(str(message.text) for message in asked["chat_history"])]))
    is_question = written.endswith(("?", "？", "؟")) and len(written) <= _LONGEST
    return written if is_question and stems(written) <= said else _joined(asked)


def _joined(asked: Asked) -> str:
    before = [str(message.text) for message in asked["chat_history"] if isinstance(message, HumanMessage)]
    return " ".join([*before[-1:], asked["question"]])
