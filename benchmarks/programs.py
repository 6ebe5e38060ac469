"""Load-test the routes for programs: 64 clients embed and search at the same time, on a real port.

    python -m benchmarks.programs --index .echo-index --clients 64 --seconds 60
    python -m benchmarks.programs --index .echo-index --seconds 15 --texts 4 --route embeddings --compare

Starts `echo-index serve --api-only`. Each client posts different texts, one request after the other, and waits as long
as `Retry-After` says when the queue is full. `--compare` lets the encoder embed the same texts before, in a process of
its own. Prints the figures as JSON. Needs an index.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import psutil

DOCS = Path(__file__).parent.parent / "docs"
QUESTIONS = Path(__file__).parent.parent / "data" / "guide_questions.jsonl"
_START_SECONDS = 120
_TOGETHER_SECONDS = 0.2
_MEGABYTE = 2**20
_PARAGRAPH = (100, 900)
"""Characters of the texts that are embedded."""


def main(words: Sequence[str] | None = None) -> None:
    """Run the load test and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--index", default=".echo-index")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--texts", type=int, default=16, help="texts of a request for embeddings")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--route", choices=["both", "embeddings", "search"], default="both")
    parser.add_argument("--compare", action="store_true", help="measure the encoder by itself before")
    parser.add_argument("--encoder-alone", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.encoder_alone:
        print(json.dumps(_encoder_rate(given.index, given.seconds)))
        return
    figures: dict[str, Any] = {}
    if given.compare:
        command = [sys.executable, "-m", "benchmarks.programs", "--encoder-alone", "--index", given.index]
        command += ["--seconds", str(given.seconds)]
        alone = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        figures["encoder_texts_per_second"] = json.loads(alone.stdout)
    figures |= _measure(given)
    if given.compare:
        figures["share_of_the_encoder"] = round(figures["texts_per_second"] / figures["encoder_texts_per_second"], 2)
    print(json.dumps(figures, indent=1))


def _encoder_rate(index: str, seconds: float) -> float:
    """Return the texts per second of the index's encoder, in calls of 256."""
    from echo_index import Retriever

    encoder = Retriever.open(index).encoder
    texts = _paragraphs()
    encoder.encode_documents(texts[:64])
    count, began = 0, time.monotonic()
    while time.monotonic() - began < seconds:
        batch = [texts[(count + number) % len(texts)] for number in range(256)]
        encoder.encode_documents(batch)
        count += len(batch)
    return round(count / (time.monotonic() - began), 2)


@dataclass
class _Tally:
    """What all clients have seen."""

    statuses: Counter[str] = field(default_factory=Counter)
    done: list[tuple[float, int]] = field(default_factory=list)
    """When a request was answered, and its texts."""
    waits: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def rate(self) -> float:
        """Texts per second after the first requests, which are answered together, until the last."""
        times = [when for when, _ in self.done]
        first, last = min(times, default=0.0), max(times, default=0.0)
        texts = sum(count for when, count in self.done if when > first + _TOGETHER_SECONDS)
        return round(texts / (last - first), 2) if texts else 0.0


def _measure(given: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "echo_index", "serve", "--api-only", "--port", "0", "--index", given.index]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "200"})
    try:
        assert server.stderr is not None
        host, port = _address(server.stderr)
        _wait_until_ready(host, port)
        return _load(given, host, port, psutil.Process(server.pid))
    finally:
        server.terminate()
        server.wait(timeout=30)


def _load(given: argparse.Namespace, host: str, port: int, process: psutil.Process) -> dict[str, Any]:
    paragraphs = _paragraphs()
    questions = [json.loads(line)["question"] for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    embeds, searches = _Tally(), _Tally()
    began = time.monotonic()
    end = began + given.seconds

    def embed(number: int) -> None:
        def body(count: int) -> dict[str, Any]:
            first = (number * 37 + count * given.texts) % len(paragraphs)
            texts = [paragraphs[(first + more) % len(paragraphs)] for more in range(given.texts)]
            return {"model": "echo-document", "input": texts, "encoding_format": "base64"}

        _client(host, port, "/v1/embeddings", body, embeds, end, texts=given.texts)

    def search(number: int) -> None:
        def body(count: int) -> dict[str, Any]:
            # Every question is different, so that cached query vectors do not improve the figures.
            return {"query": f"{questions[(number + count) % len(questions)]} ({number}.{count})"}

        _client(host, port, "/search", body, searches, end, texts=1)

    kinds = {"both": [embed, search], "embeddings": [embed], "search": [search]}[given.route]
    clients = [kinds[number % len(kinds)] for number in range(given.clients)]
    threads = [threading.Thread(target=act, args=(number,)) for number, act in enumerate(clients)]
    for thread in threads:
        thread.start()
    memory = []
    while time.monotonic() < end:
        time.sleep(min(5.0, given.seconds / 4))
        memory.append(process.memory_info().rss // _MEGABYTE)
    for thread in threads:
        thread.join()
    waits = sorted(embeds.waits), sorted(searches.waits)
    return {
        "clients": given.clients,
        "seconds": given.seconds,
        "embeddings": dict(embeds.statuses),
        "search": dict(searches.statuses),
        "texts_per_second": embeds.rate,
        "searches_per_second": searches.rate,
        "median_wait_seconds": [round(each[len(each) // 2], 2) if each else None for each in waits],
        "longest_wait_seconds": [round(each[-1], 2) if each else None for each in waits],
        "server_memory_mb": memory,
    }


def _client(host: str, port: int, path: str, body: Any, tally: _Tally, end: float, *, texts: int) -> None:
    connection = http.client.HTTPConnection(host, port, timeout=300)
    count = 0
    while time.monotonic() < end:
        data = json.dumps(body(count)).encode()
        began = time.monotonic()
        try:
            connection.request("POST", path, data, {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            status, retry = str(response.status), float(response.headers.get("Retry-After", 0))
        except OSError as error:
            status, retry = type(error).__name__, 1.0
            connection.close()
        with tally.lock:
            tally.statuses[status] += 1
            if status == "200":
                tally.done.append((time.monotonic(), texts))
                tally.waits.append(time.monotonic() - began)
        count += 1
        time.sleep(min(retry, max(0.0, end - time.monotonic())))


def _paragraphs() -> list[str]:
    texts = [part for page in sorted(DOCS.glob("*.md")) for part in page.read_text(encoding="utf-8").split("\n\n")]
    paragraphs = [text for text in texts if _PARAGRAPH[0] <= len(text) <= _PARAGRAPH[1]]
    Random(1).shuffle(paragraphs)  # the pages differ in how long their paragraphs are
    return paragraphs


def _address(stderr: Any) -> tuple[str, int]:
    for line in stderr:
        if found := re.search(r"http://[\w.:\[\]]+", line):
            # Read the rest too, or the pipe fills up and the server blocks.
            threading.Thread(target=stderr.read, daemon=True).start()
            place = urlsplit(found[0])
            assert place.hostname is not None and place.port is not None
            return place.hostname, place.port
        print(line, end="", file=sys.stderr)
    raise SystemExit("The server did not start.")


def _wait_until_ready(host: str, port: int) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        connection = http.client.HTTPConnection(host, port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.2)
    raise SystemExit("The server was not ready in time.")


if __name__ == "__main__":
    main()
