"""Start the process of a row, send it requests, and report why it failed."""

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
_TIMEOUT = 600.0  # seconds for one response


class RowFailed(Exception):
    """A row cannot run or continue; the message says why."""


class RowProcess:
    """One row in a process of its own.

    `about` describes the engine; `tokens` has the number of input tokens of each corpus.

    Raises:
        RowFailed: the row cannot run here.
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
            response = self._request(asdict(setting))
        except RowFailed:
            self.close()
            raise
        self.about: str = response["about"]
        self.tokens: dict[str, int] = response["tokens"]

    def run(self, corpus: str, *, save: Path | None = None) -> float:
        """Embed a corpus, save the vectors if requested, and return the seconds of the embedding.

        Raises:
            RowFailed: the process failed.
        """
        return float(self._request({"corpus": corpus, "save": None if save is None else str(save)})["seconds"])

    def close(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def _request(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        timer = Timer(_TIMEOUT, self._process.kill)
        timer.start()
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            timer.cancel()
        if not line:
            raise RowFailed(self._failure_reason())
        response: dict[str, Any] = json.loads(line)
        if "error" in response:
            raise RowFailed(response["error"])
        return response

    def _failure_reason(self) -> str:
        code = self._process.wait()
        self._log.seek(0)
        lines = [line.strip() for line in self._log if line.strip()]
        return f"its process ended with code {code}" + (f": {lines[-1]}" if lines else "")
