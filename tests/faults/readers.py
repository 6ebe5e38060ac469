"""Readers that search without a pause while build follows build; every text tells which edition it belongs to.

Runs as a program: python -m faults.readers PLACE BUILDS PROCESSES
"""

from __future__ import annotations

import json
import multiprocessing
import re
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer_helpers import WordEncoder

from echo_index.embeddings.encoder import EchoEncoder  # once, before the readers are forked: a retriever imports it
from echo_index.retriever.search.retriever import Retriever

from .scenarios import INDEX, build

if TYPE_CHECKING:
    from echo_index.retriever.search.hits import Hit

_TWO_THREADS = 2  # of the processes have two threads that share a retriever
_EDITION = re.compile(r"\bedition(\d{4})\b")
_MODES = ("dense", "lexical", "hybrid")
_PATIENCE = 20.0  # seconds until all readers have to answer with the newest edition
_EVERYTHING = 500


def paths_of(edition: int) -> set[str]:
    """Return the documents of an edition: some are always there, some come and go, one has another name each time."""
    always = {f"paper{number:02}.md" for number in range(10)}
    sometimes = {f"guest{number}.md" for number in range(6) if edition % (number + 2) == 0}
    return always | sometimes | {f"renamed{edition:04}.md"}


def write_edition(folder: Path, edition: int) -> None:
    """Write the documents of an edition, two passages each, and take away all others."""
    for path in folder.glob("*.md"):
        if path.name not in paths_of(edition):
            path.unlink()
    for name in sorted(paths_of(edition)):
        text = f"Common words of edition{edition:04} in {name}."
        (folder / name).write_text(f"# First\n\n{text}\n\n# Second\n\n{text} Once more.\n")


def refusal(hits: Sequence[Hit]) -> tuple[int, str]:
    """Return the edition of an answer, and what is wrong with it: '' where it is one edition, all of it."""
    editions = {int(number) for hit in hits for number in _EDITION.findall(hit.text)}
    if len(editions) != 1:
        return 0, f"an answer of editions {sorted(editions)} in {len(hits)} passages"
    [edition] = editions
    found = Counter(hit.source for hit in hits)
    if {*found} != paths_of(edition):
        return edition, f"edition {edition} with {sorted({*found} ^ paths_of(edition))} too many or too few"
    if {*found.values()} != {2}:
        return edition, f"edition {edition} with passages that are missing or doubled: {found}"
    return edition, ""


class Reader:
    """What one thread of a reader process finds out, in memory that the builder reads."""

    def __init__(self, number: int, newest: Any, searches: Any, stop: Any, told: Path) -> None:
        self.number = number
        self.newest = newest
        self.searches = searches
        self.stop = stop
        self.told = told

    def search(self, retriever: Retriever) -> None:
        """Search until told to stop; whatever goes wrong is written down."""
        edition = 0
        while not self.stop.value:
            mode = _MODES[self.searches[self.number] % len(_MODES)]
            try:
                hits = retriever.search("common words of an edition", k=_EVERYTHING, mode=mode)  # type: ignore[arg-type]
            except Exception as error:  # noqa: BLE001
                where = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)]
                self._tell(f"{mode}: {type(error).__name__} at {where[-1]}: {error}")
                continue
            seen, wrong = refusal(hits)
            if wrong:
                self._tell(f"{mode}: {wrong}")
            elif seen < edition:
                self._tell(f"{mode}: edition {seen} after {edition}")
            edition = max(seen, edition)
            self.newest[self.number] = edition
            self.searches[self.number] += 1

    def _tell(self, line: str) -> None:
        with self.told.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def main(place: str, builds: str, processes_of_readers: str) -> None:
    """Write what happened as one JSON object."""
    folder, told = Path(place) / "docs", Path(place) / "told"
    folder.mkdir(parents=True)
    encoder: EchoEncoder = WordEncoder()  # type: ignore[assignment]
    write_edition(folder, 1)
    build(folder, encoder)
    share_count = int(processes_of_readers)
    threads = share_count + _TWO_THREADS
    fork = multiprocessing.get_context("fork")
    newest, searches = fork.Array("q", threads, lock=False), fork.Array("q", threads, lock=False)
    stop = fork.Value("b", 0, lock=False)
    readers = [Reader(number, newest, searches, stop, told) for number in range(threads)]
    shares = [[reader for reader in readers if reader.number % share_count == first] for first in range(share_count)]
    processes = [fork.Process(target=_read, args=(folder / INDEX, share)) for share in shares]
    for process in processes:
        process.start()
    late, arrivals = [], []
    for edition in range(1, int(builds) + 2):
        if edition > 1:
            write_edition(folder, edition)
            build(folder, encoder, rebuild=edition % 9 == 0)
        if edition % 2 == 0 and edition < int(builds) + 1:
            continue  # straight on to the next build
        began = time.monotonic()
        while min(newest) < edition and time.monotonic() < began + _PATIENCE:
            time.sleep(0.005)
        arrivals.append(time.monotonic() - began)
        if min(newest) < edition:
            late.append(f"edition {edition} was not seen by all after {_PATIENCE} s: {[*newest]}")
            break
    stop.value = 1
    for process in processes:
        process.join(30)
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    ended = [process.exitcode for process in processes]
    sys.stdout.write(
        json.dumps(
            {
                "searches": sum(searches),
                "builds": int(builds),
                "slowest_arrival": max(arrivals),
                "wrong": [*Counter(lines).most_common(20), *late],
                "ended": ended,
            }
        )
    )


def _read(index_dir: Path, share: Sequence[Reader]) -> None:
    """Open the index as a user would, and search in as many threads as there are readers in this share."""
    encoder: EchoEncoder = WordEncoder()  # type: ignore[assignment]
    retriever = Retriever.open(index_dir, encoder=encoder, index_device="cpu")
    threads = [threading.Thread(target=reader.search, args=(retriever,)) for reader in share]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
