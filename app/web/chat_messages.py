"""Format the turns of a conversation as chat messages and as a Markdown file. Their text is always escaped in chat."""

from __future__ import annotations

import re
from collections.abc import Sequence

from echo_index.app.services.answer_job import Turn
from echo_index.app.services.formatting import source_text
from echo_index.app.web.html import as_markdown

_MARKER = re.compile(r"\[(\d+)\]")
_SEARCHING = "Searching your documents …"
_READING = "Reading the passages …"
_CURSOR = " ▍"
_STOPPED = "\n\n*Stopped.*"
_NOT_FOUND = "⚠️ **Not in your documents.** {text}\n\n*The nearest passages are shown beside this answer.*"

Message = dict[str, str]


def conversation(turns: Sequence[Turn], *, is_running: bool = False) -> list[Message]:
    """Return the chat messages of a conversation; `is_running` means that the last answer is still being generated."""
    messages = []
    for number, turn in enumerate(turns, start=1):
        messages.append({"role": "user", "content": as_markdown(turn.question)})
        content = _answer_markdown(turn, number, is_running=is_running and number == len(turns))
        messages.append({"role": "assistant", "content": content})
    return messages


def export_markdown(turns: Sequence[Turn]) -> str:
    """Return a conversation as a Markdown document with the cited passages."""
    parts = ["# Conversation\n"]
    for turn in turns:
        parts.append(f"## {_one_line(turn.question)}\n")
        parts.append(f"{turn.answer.text if turn.answer else turn.text}\n")
        for citation in turn.answer.citations if turn.answer else ():
            quotation = "\n".join(f"> {line}" for line in citation.hit.full_text.splitlines())
            parts.append(f"[{citation.number}] {source_text(citation.hit)}\n\n{quotation}\n")
    return "\n".join(parts)


def _answer_markdown(turn: Turn, number: int, *, is_running: bool) -> str:
    if is_running and not turn.text:
        return f"*{_READING if turn.passages else _SEARCHING}*"
    if is_running:
        return _with_links(turn.text, number) + _CURSOR
    if turn.answer is None:
        return _with_links(turn.text, number) + _STOPPED
    if not turn.answer.found:
        return _NOT_FOUND.format(text=as_markdown(turn.answer.text))
    return _with_links(turn.answer.text, number)


def _with_links(text: str, number: int) -> str:
    """Escape a text, and link its citation markers to the passages of this turn."""
    pieces = _MARKER.split(text)
    parts = [as_markdown(pieces[0])]
    for marker, after in zip(pieces[1::2], pieces[2::2], strict=True):
        labels = f'title="Show passage {marker}" aria-label="Passage {marker}"'
        parts.append(f'<a class="citation" href="#cite-{number}-{marker}" {labels}>{marker}</a>{as_markdown(after)}')
    return "".join(parts)


def _one_line(text: str) -> str:
    return " ".join(text.split())
