"""The real server in another process, and a watch over pages for forbidden actions."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from typing import Any

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Playwright,
    Request,
    WebError,
    WebSocket,
)

_ROOT = Path(__file__).parents[2]
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_PATIENCE = 180.0  # seconds for loading a model
# Attacks in the test documents set this variable; the console message outlives their page.
_TRAP = "Object.defineProperty(window, '__hacked', { set() { console.error('HACKED'); }, get() { return undefined; } })"


@dataclass(frozen=True)
class Site:
    """A running server: its address and the folder it was started in."""

    url: str
    folder: Path


def command(*words: str, folder: Path) -> str:
    """Run the command line in a folder and return what it printed."""
    ran = subprocess.run(_command(words), cwd=folder, env=_environment(), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Site]:
    """Serve the index `idx` of a folder on a free port for the duration of the block."""
    errors = folder / "server.log"
    words = ("serve", "--index", "idx", "--port", "0", *options)
    with errors.open("w") as log:
        process = subprocess.Popen(_command(words), cwd=folder, env=_environment(), stdout=log, stderr=log)
    try:
        yield Site(_address(process, errors), folder)
    finally:
        process.terminate()
        process.wait(timeout=20)


def _command(words: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "echo_index", *words]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(_ROOT / "src"), "HF_HUB_OFFLINE": "1", "COLUMNS": "200"}


def _address(process: subprocess.Popen[bytes], errors: Path) -> str:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:\d+", errors.read_text()):
            try:
                with urllib.request.urlopen(f"{found[0]}/healthz", timeout=5):
                    return found[0]
            except OSError:  # not yet, or not in time
                pass
        time.sleep(0.1)
    raise AssertionError(f"The server did not become ready: {errors.read_text()}")


def launch(playwright: Playwright) -> Browser:
    """Start the browser of this machine."""
    found = next(filter(None, map(which, _NAMES)), None)
    assert found, "There is no Chromium to test the page with; install it: apt-get install chromium"
    return playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])


def set_trap(context: BrowserContext) -> None:
    """Let the pages of a new context tell of attacks."""
    context.add_init_script(_TRAP)


@dataclass
class Watch:
    """Records forbidden actions of pages: code execution, dialogs, errors, and requests to other servers."""

    origin: str
    happened: list[str] = field(default_factory=list)

    def over(self, context: BrowserContext) -> None:
        """Watch all pages of a new context."""
        set_trap(context)
        self.begin(context)

    def begin(self, context: BrowserContext) -> None:
        """Watch all pages that are opened from now on in a context that has its trap already."""
        for event, handler in self._handlers().items():
            context.on(event, handler)  # type: ignore[call-overload]

    def end(self, context: BrowserContext) -> None:
        """Watch this context no longer."""
        for event, handler in self._handlers().items():
            context.remove_listener(event, handler)

    def check(self) -> None:
        """Fail if something was recorded."""
        assert not self.happened, f"The page did what it must not do: {self.happened}"

    def _handlers(self) -> dict[str, Callable[[Any], None]]:
        return {
            "request": self._request,
            "console": self._console,
            "dialog": self._dialog,
            "weberror": self._error,
            "page": self._page,
        }

    def _error(self, error: WebError) -> None:
        self.happened.append(f"error: {error.error}")

    def _page(self, page: Page) -> None:
        page.on("websocket", self._websocket)

    def _request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.origin}/", "data:", "blob:")):
            self.happened.append(f"request: {request.url}")

    def _websocket(self, socket: WebSocket) -> None:
        self.happened.append(f"socket: {socket.url}")

    def _console(self, message: ConsoleMessage) -> None:
        if "HACKED" in message.text or "content security policy" in message.text.lower():
            self.happened.append(f"console: {message.text}")

    def _dialog(self, dialog: Dialog) -> None:
        self.happened.append(f"dialog: {dialog.message}")
        dialog.dismiss()
