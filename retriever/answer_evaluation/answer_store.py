"""Store what writers wrote, so that an interrupted evaluation goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from echo_index.retriever.evaluation.line_store import LineStore
from echo_index.retriever.rag.answer_prompt import Prompt


@dataclass(frozen=True, slots=True)
class WrittenText:
    """The text that a writer wrote, unchecked, and the seconds until its first word and its end."""

    text: str
    first_word_seconds: float
    seconds: float


class AnswerStore:
    """What one writer wrote, by prompt, in a file to which each text is appended at once.

    Texts are stored before they are checked: changes to the checks do not need them to be written again.

    Raises:
        EchoIndexError: the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._lines = LineStore(path)

    def __enter__(self) -> AnswerStore:
        """Return the open store."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._lines.close()

    def get(self, key: str) -> WrittenText | None:
        """Return the text with this key; None if there is none, or it cannot be read."""
        fields = self._lines.get(key)
        try:
            return None if fields is None else WrittenText(**fields)
        except TypeError:
            return None

    def put(self, key: str, written: WrittenText) -> None:
        """Store a text."""
        self._lines.put(key, asdict(written))


def prompt_key(prompt: Prompt) -> str:
    """Return the key of a prompt: the SHA-256 of its messages and settings in hexadecimal."""
    messages = [(message.type, message.content) for message in prompt.messages]
    content = json.dumps([messages, prompt.stop, prompt.refusal_bias], ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()
