"""What is disturbed: a first build, an update, a rebuild and a removal of documents."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from indexer_helpers import WordEncoder

from echo_index.errors import QuestionError
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.building.removal import remove_documents
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.sources.source import Source

from .corpus import mutate, write_corpus

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder

INDEX = ".echo-index"
Act = Callable[[Path, "EchoEncoder"], None]
"""Does something to the index of a folder."""


@dataclass(frozen=True)
class Scenario:
    """`prepare` makes the documents and the index as they are before `act`, which is what will be disturbed."""

    name: str
    prepare: Act
    act: Act


def build(folder: Path, encoder: EchoEncoder, *, rebuild: bool = False, max_tokens: int = 40) -> None:
    """Build the index that lies hidden among its documents."""
    chunking = Chunking(max_tokens, max_tokens // 5)
    build_index([Source.parse(str(folder))], folder / INDEX, encoder=encoder, chunking=chunking, rebuild=rebuild)


def rebuild(folder: Path, encoder: EchoEncoder) -> None:
    """Build it anew."""
    build(folder, encoder, rebuild=True)


def remove(folder: Path, encoder: EchoEncoder) -> None:
    """Take the same two documents out, unless they are out already."""
    try:
        remove_documents(["part0/paper000.md", "part1/paper001.txt"], folder / INDEX)
    except QuestionError as error:
        if "There is no document" not in error.message:
            raise


def _documents(folder: Path, encoder: EchoEncoder) -> None:
    write_corpus(folder, documents=9)


def _index(folder: Path, encoder: EchoEncoder) -> None:
    _documents(folder, encoder)
    build(folder, encoder)


def _index_of_before(folder: Path, encoder: EchoEncoder) -> None:
    _index(folder, encoder)
    mutate(folder, seed=1)
    build(folder, encoder)  # so that there is something to sweep away
    mutate(folder, seed=2)


def _index_and_a_build_that_was_stopped(folder: Path, encoder: EchoEncoder) -> None:
    _index(folder, encoder)
    mutate(folder, seed=1)
    with suppress(KeyboardInterrupt):
        build(folder, WordEncoder(patience=0))  # type: ignore[arg-type]


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("first build", _documents, build),
        Scenario("update", _index_of_before, build),
        Scenario("rebuild", _index_of_before, rebuild),
        Scenario("removal", _index_and_a_build_that_was_stopped, remove),
    )
}
