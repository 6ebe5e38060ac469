"""Format the turns of a conversation as chat messages and as a Markdown file.

In chat a question is shown as it was written. Of an answer the lists, tables, code and emphasis are rendered; links and
images that a model wrote are not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from echo_index.app.services.answer_job import Turn
from echo_index.app.services.formatting import source_text
from echo_index.app.web.html import as_markdown, escape_html
from echo_index.app.web.rendering.markdown import write_markdown
from echo_index.app.web.rendering.writer import PassageWriter

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
        return _answer_html(turn.text + _CURSOR, number)
    if turn.answer is None:
        return _answer_html(turn.text, number) + _STOPPED
    if not turn.answer.found:
        return _NOT_FOUND.format(text=as_markdown(turn.answer.text))
    return _answer_html(turn.answer.text, number)


class _AnswerWriter(PassageWriter):
    """Writes an answer, and links its citation markers to the passages of this turn."""

    def __init__(self, turn: int) -> None:
        super().__init__()
        self._turn = turn

    def text_html(self, text: str) -> str:
        """Return a piece of text as HTML, with links outside code."""
        if self.is_in("code", "pre"):
            return escape_html(text)
        return _MARKER.sub(lambda marker: _citation_link(self._turn, marker[1]), escape_html(text))

    def part(self) -> _AnswerWriter:
        """Return a writer for a part."""
        return _AnswerWriter(self._turn)


def _answer_html(text: str, turn: int) -> str:
    """Return an answer as a block of HTML in Markdown: without line ends, it goes as far as the next blank line."""
    writer = _AnswerWriter(turn)
    write_markdown(writer, text.strip("\n"), start=1, links=False)
    return f'<div class="rendered answer" dir="auto">{writer.html()}</div>'.replace("\n", "&#10;")


def _citation_link(turn: int, marker: str) -> str:
    labels = f'title="Show passage {marker}" aria-label="Passage {marker}"'
    return f'<a class="citation" href="#cite-{turn}-{marker}" {labels}>{marker}</a>'


def _one_line(text: str) -> str:
    return " ".join(text.split())
