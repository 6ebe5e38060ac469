"""The conversation of `ask --chat`: questions are read line by line, and follow-ups refer to earlier ones."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from rich.console import Console

from echo_index.app.cli import output
from echo_index.app.services.external_llm import answering
from echo_index.errors import EchoIndexError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from echo_index.retriever.rag.answer_stream import AnswerStream
    from echo_index.retriever.rag.sentence_meaning import Embed
    from echo_index.retriever.search.hits import Hit

_COMMANDS = {
    "/sources": "show the passages of the last answer",
    "/new": "forget the conversation",
    "/quit": "end, as does Ctrl-D",
}
_PROMPT = "> "


def run_chat(
    question: str | None,
    *,
    search: Callable[[str], Sequence[Hit]],
    model: BaseChatModel,
    embed: Embed | None = None,
    llm: str | None,
    out: Console,
    notice: Callable[[str], None],
) -> None:
    """Answer questions from standard input until it ends, beginning with `question` if there is one.

    Ctrl-C stops an answer, or ends the conversation where a question is expected. An error of the model is printed, and
    the conversation goes on.

    Raises:
        EchoIndexError: the first search fails, as there is no index to ask.
    """
    from echo_index.retriever.rag.answer_stream import answer_question
    from echo_index.retriever.rag.query_rewriting import Conversation

    notice("; ".join(f"{command} to {meaning}" for command, meaning in _COMMANDS.items()) + ".")
    exchanges: list[tuple[str, str]] = []
    last: AnswerStream | None = None
    asked = question
    while (asked := _next_line(out) if asked is None else asked) is not None:
        line, asked = asked.strip(), None
        if line == "/quit":
            return
        if line == "/new":
            exchanges, last = [], None
        elif line == "/sources":
            if last is None:
                notice("There is no answer yet.")
            else:
                output.print_hits(out, last.passages)
        elif line.startswith("/"):
            notice(f"There is no command {line.split()[0]}; there are {', '.join(_COMMANDS)}.")
        elif line:
            try:
                with answering(llm):
                    last = answer_question(
                        Conversation.from_exchanges(line, exchanges), search=search, model=model, embed=embed
                    )
                    output.print_answer(out, last)
                exchanges.append((line, last.answer.text))
            except KeyboardInterrupt:
                notice("Stopped.")
            except EchoIndexError as error:
                if not exchanges and last is None:
                    raise
                notice(str(error))


def _next_line(out: Console) -> str | None:
    """Return the next line of standard input; None at its end."""
    try:
        if sys.stdin.isatty():
            with suppress(ImportError):  # Windows has none
                import readline  # noqa: F401 - arrow keys edit the line, and recall earlier ones

            return input(_PROMPT)
        line = sys.stdin.readline()
        return line if line else None
    except (EOFError, KeyboardInterrupt):
        out.print()
        return None
