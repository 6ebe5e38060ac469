"""Load-test the web server with concurrent searches: errors, waiting times and the server's memory.

    python -m benchmarks.visitors --index .echo-index --visitors 32 --seconds 60

Starts `echo-index serve` on a free port; each visitor sends different questions to the endpoint `search`, one after
the other. Prints the figures as JSON. Needs an index.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import psutil

QUESTIONS = Path(__file__).parent.parent / "data" / "guide_questions.jsonl"
_START_SECONDS = 120
_MEGABYTE = 2**20


def main(words: Sequence[str] | None = None) -> None:
    """Run the load test and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--index", default=".echo-index")
    parser.add_argument("--visitors", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", type=Path, help="write the figures there")
    given = parser.parse_args(words)
    server = subprocess.Popen(
        [sys.executable, "-m", "echo_index", "serve", "--port", "0", "--index", given.index],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    try:
        figures = measure(server, visitors=given.visitors, seconds=given.seconds)
    finally:
        server.terminate()
        server.wait(timeout=30)
    print(json.dumps(figures, indent=1))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


def measure(server: subprocess.Popen[str], *, visitors: int, seconds: float) -> dict[str, float | int | list[int]]:
    """Let concurrent visitors search for `seconds`; return the figures."""
    assert server.stderr is not None
    address = _address(server.stderr)
    _wait_until_ready(address)
    questions = [json.loads(line)["question"] for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    _search(address, questions[0])
    process = psutil.Process(server.pid)
    before = process.memory_info().rss
    waits: list[float] = []
    errors: list[str] = []
    end = time.monotonic() + seconds

    def visit(number: int) -> None:
        count = 0
        while time.monotonic() < end:
            # Every question is different, so that cached query vectors do not improve the figures.
            question = f"{questions[(number + count) % len(questions)]} ({number}.{count})"
            began = time.monotonic()
            try:
                if not _search(address, question):
                    errors.append("nothing was found")
            except Exception as error:  # noqa: BLE001 - every failure counts
                errors.append(repr(error))
            waits.append(time.monotonic() - began)
            count += 1

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(visitors)]
    for thread in threads:
        thread.start()
    memory = [before // _MEGABYTE]
    while any(thread.is_alive() for thread in threads):
        time.sleep(min(10.0, seconds / 4))
        memory.append(process.memory_info().rss // _MEGABYTE)
    for thread in threads:
        thread.join()
    for error in sorted(set(errors))[:5]:
        print(error, file=sys.stderr)
    waits.sort()
    return {
        "visitors": visitors,
        "seconds": seconds,
        "searches": len(waits),
        "errors": len(errors),
        "searches_per_second": round(len(waits) / seconds, 1),
        "median_wait_seconds": round(statistics.median(waits), 2),
        "p95_wait_seconds": round(waits[int(0.95 * (len(waits) - 1))], 2),
        "longest_wait_seconds": round(waits[-1], 2),
        "server_memory_mb": memory,
    }


def _search(address: str, question: str) -> list[object]:
    """Call the endpoint as any client does: post the question, then read the event with the result."""
    body = json.dumps({"data": [question, 5, "hybrid", "", None, None, 0, 0, "", "", "", 0, None]}).encode()
    request = urllib.request.Request(f"{address}/gradio_api/call/search", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        event = json.load(response)["event_id"]
    with urllib.request.urlopen(f"{address}/gradio_api/call/search/{event}", timeout=120) as response:
        events = response.read().decode()
    complete = re.search(r"event: complete\ndata: (.*)", events)
    if complete is None:
        raise RuntimeError(events.strip()[:200])
    hits: list[object] = json.loads(complete[1])[0]
    return hits


def _address(stderr: IO[str]) -> str:
    for line in stderr:
        if address := re.search(r"http://[\w.:\[\]]+", line):
            # Read the rest too, or the pipe fills up and the server blocks.
            threading.Thread(target=stderr.read, daemon=True).start()
            return address[0]
        print(line, end="", file=sys.stderr)
    raise SystemExit("The server did not start.")


def _wait_until_ready(address: str) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{address}/healthz", timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise SystemExit("The server was not ready in time.")


if __name__ == "__main__":
    main()
