"""The other end of a row's process: starts it, asks it, and says why where it fails."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import asdict
from pathlib import Path
from threading import Timer
from typing import Any

from benchmarks.encode.rows import Setting

_ROOT = Path(__file__).parents[2]
_PATIENCE = 600.0  # seconds for one answer


class RowFailed(Exception):
    """A row cannot run, or cannot go on; the message says why."""


class RowProcess:
    """One row in a process of its own.

    `about` says what runs there, `tokens` how many tokens of each corpus it reads.

    Raises:
        RowFailed: it cannot run here.
    """

    def __init__(self, setting: Setting, *, python: str) -> None:
        threads = str(setting.threads)
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - open as long as the process
        try:
            self._process = subprocess.Popen(
                [python, "-m", "benchmarks.encode.worker"],
                cwd=_ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                encoding="utf-8",
                env={**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "HF_HUB_OFFLINE": "1"},
            )
        except OSError as error:
            self._log.close()
            raise RowFailed(f"{python} cannot be started: {error.strerror}") from None
        try:
            opened = self._ask(asdict(setting))
        except RowFailed:
            self.close()
            raise
        self.about: str = opened["about"]
        self.tokens: dict[str, int] = opened["tokens"]

    def run(self, corpus: str, *, save: Path | None = None) -> float:
        """Embed a corpus, keep the vectors where asked, and return the seconds that the embedding took.

        Raises:
            RowFailed: it did not end well.
        """
        return float(self._ask({"corpus": corpus, "save": None if save is None else str(save)})["seconds"])

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        limit = Timer(_PATIENCE, self._process.kill)
        limit.start()
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            limit.cancel()
        if not line:
            raise RowFailed(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RowFailed(answer["error"])
        return answer

    def _last_words(self) -> str:
        code = self._process.wait()
        self._log.seek(0)
        said = [line.strip() for line in self._log if line.strip()]
        return f"its process ended with code {code}" + (f": {said[-1]}" if said else "")
