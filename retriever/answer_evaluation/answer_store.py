"""Store what writers wrote, so that an interrupted evaluation goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from echo_index.errors import EchoIndexError
from echo_index.retriever.rag.answer_prompt import Prompt


@dataclass(frozen=True, slots=True)
class WrittenText:
    """The text that a writer wrote, unchecked, and the seconds until its first word and its end."""

    text: str
    first_word_seconds: float
    seconds: float


class AnswerStore:
    """What one writer wrote, by prompt, in a file of JSON lines to which each text is appended at once.

    Texts are stored before they are checked: changes to the checks do not need them to be written again. A line that
    was cut off when the program was killed is ignored.

    Raises:
        EchoIndexError: the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._errors_translated():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._texts = dict(_read(path))
            self._file = path.open("a", encoding="utf-8")
            self._file.write("\n")  # ends a line that was cut off

    def __enter__(self) -> AnswerStore:
        """Return the open store."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._file.close()

    def get(self, key: str) -> WrittenText | None:
        """Return the text with this key, or None."""
        return self._texts.get(key)

    def put(self, key: str, written: WrittenText) -> None:
        """Store a text."""
        self._texts[key] = written
        with self._errors_translated():
            self._file.write(json.dumps({"key": key, **asdict(written)}, ensure_ascii=False) + "\n")
            self._file.flush()

    @contextmanager
    def _errors_translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise EchoIndexError(f"{self._path} cannot be written: {error.strerror}.") from None


def prompt_key(prompt: Prompt) -> str:
    """Return the key of a prompt: the SHA-256 of its messages and settings in hexadecimal."""
    messages = [(message.type, message.content) for message in prompt.messages]
    content = json.dumps([messages, prompt.stop, prompt.refusal_bias], ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()


def _read(path: Path) -> list[tuple[str, WrittenText]]:
    texts = []
    for line in path.read_bytes().split(b"\n") if path.exists() else []:
        try:
            fields = json.loads(line)
            texts.append((fields.pop("key"), WrittenText(**fields)))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return texts
