"""Store results of long work by key in a file, so that interrupted work goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from echo_index.errors import EchoIndexError


class LineStore:
    """Results by key, in a file of JSON lines to which each result is appended at once.

    A result is an object of JSON. A line that was cut off when the program was killed is ignored; of several lines with
    one key, the last counts.

    Raises:
        EchoIndexError: the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._errors_translated():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._results = dict(_read(path))
            self._file = path.open("a", encoding="utf-8")
            self._file.write("\n")  # ends a line that was cut off

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> LineStore:
        """Return the open store."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def get(self, key: str) -> Mapping[str, Any] | None:
        """Return the result with this key, or None."""
        return self._results.get(key)

    def put(self, key: str, result: Mapping[str, Any]) -> None:
        """Store a result."""
        self._results[key] = result
        with self._errors_translated():
            self._file.write(json.dumps({"key": key, **result}, ensure_ascii=False) + "\n")
            self._file.flush()

    @contextmanager
    def _errors_translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise EchoIndexError(f"{self._path} cannot be written: {error.strerror}.") from None


def _read(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for line in path.read_bytes().split(b"\n") if path.exists() else []:
        try:
            fields = json.loads(line)
            yield fields.pop("key"), fields
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
