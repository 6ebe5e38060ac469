"""Measure the MCP server as an assistant sees it: from its start to the list of tools, its calls, and its end.

    python -m benchmarks.assistants INDEX [--question TEXT] [--runs 5]

Times are medians, with the minimum in brackets. The first search opens the index; the first one ever of an index in
int8 also loads torch, and is not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

_QUESTION = "What happens when the disk is full?"
_SEARCHES = 10
_MEASURED = {
    "initialized": "start to initialized",
    "tools": "start to the list of tools",
    "first": "first search",
    "next": "next searches",
    "together": f"{_SEARCHES} searches at the same time",
    "read": "read a document",
    "end": "closed input to the end of the process",
}


def main(words: Sequence[str] | None = None) -> None:
    """Print one line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--question", default=_QUESTION)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args(words)
    asyncio.run(_measure(arguments.index, arguments.question))
    runs = [asyncio.run(_measure(arguments.index, arguments.question)) for _ in range(arguments.runs)]
    for key, name in _MEASURED.items():
        seconds = [run[key] for run in runs]
        print(f"{name:45}{median(seconds):8.3f} s ({min(seconds):.3f})")


async def _measure(index: Path, question: str) -> dict[str, float]:
    """Return the seconds of one server process."""
    started = time.perf_counter()
    client = await _Client.start(index)
    client.send(
        "initialize",
        {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "benchmark", "version": "1"}},
    )
    await client.receive()
    measured = {"initialized": time.perf_counter() - started}
    client.send("notifications/initialized", number=None)
    client.send("tools/list", {})
    await client.receive()
    measured["tools"] = time.perf_counter() - started
    measured["first"] = await client.seconds([("search", {"question": f"{question} 0"})])
    times = [await client.seconds([("search", {"question": f"{question} {number}"})]) for number in range(1, 6)]
    measured["next"] = median(times)
    calls = [("search", {"question": f"{question} {number}"}) for number in range(100, 100 + _SEARCHES)]
    measured["together"] = await client.seconds(calls)
    client.send("resources/list", {})
    name = (await client.receive())["result"]["resources"][0]["name"]
    measured["read"] = await client.seconds([("read", {"source": name})])
    measured["end"] = await client.end()
    return measured


class _Client:
    """The client of one server process, without the SDK, whose own time would be measured, too."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._process, self._stdin, self._stdout = process, process.stdin, process.stdout
        self._number = 0

    @classmethod
    async def start(cls, index: Path) -> _Client:
        """Start a server."""
        pipe = subprocess.PIPE
        command = [sys.executable, "-m", "echo_index", "mcp", "--index", str(index)]
        return cls(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=2**24))

    def send(self, method: str, params: dict[str, Any] | None = None, *, number: int | None = 0) -> None:
        """Send a request, or a notification if `number` is None."""
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params or {}}
        if number is not None:
            self._number += 1
            message["id"] = self._number
        self._stdin.write(json.dumps(message).encode() + b"\n")

    async def receive(self) -> dict[str, Any]:
        """Return the next answer."""
        answer: dict[str, Any] = json.loads(await self._stdout.readline())
        if "result" not in answer or answer["result"].get("isError"):
            sys.exit(f"The server answered {answer}")
        return answer

    async def seconds(self, calls: Sequence[tuple[str, dict[str, Any]]]) -> float:
        """Return how long it takes to call tools at the same time."""
        started = time.perf_counter()
        for name, arguments in calls:
            self.send("tools/call", {"name": name, "arguments": arguments})
        for _ in calls:
            await self.receive()
        return time.perf_counter() - started

    async def end(self) -> float:
        """Close the input and return how long the process takes to end."""
        started = time.perf_counter()
        self._stdin.close()
        await self._process.wait()
        return time.perf_counter() - started


if __name__ == "__main__":
    main()
