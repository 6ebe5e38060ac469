"""Builds of a real encoder that are killed at random instants, beside a twin that nobody disturbs.

Runs as a program, in a fresh process with one thread: the model is loaded once, every build is a fork of it.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import torch

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.model_loading import load_model
from echo_index.embeddings.vectors.paired_embeddings import EmbeddingPair
from echo_index.errors import IndexMissing
from echo_index.indexer.generations.recovery import recover_commit
from echo_index.indexer.storage.writer_lock import writer_lock

from .answers import Answers, difference, read_answers
from .attempts import Ended, ended_of, start
from .corpus import mutate, write_corpus
from .journal import Journal
from .scenarios import INDEX, build

_TOLERANCE = 2e-3  # what another batch and half precision do to a component of a vector, or to a cosine


class JournalEchoEncoder(EchoEncoder):
    """An EchoEncoder with a journal, and small batches."""

    def __init__(self, model: LanguageModel, journal: Journal) -> None:
        super().__init__(model, batch_tokens=512)
        self.journal = journal

    def encode_document_pairs(self, texts: Sequence[str]) -> Iterator[tuple[list[int], EmbeddingPair]]:
        for positions, readings in super().encode_document_pairs(texts):
            self.journal.note([texts[position] for position in positions])
            yield positions, readings


class Twins:
    """The documents and index whose builds are killed, and those whose builds are not."""

    def __init__(
        self, place: Path, model: LanguageModel, *, documents: int, max_tokens: int, chance: random.Random
    ) -> None:
        self.place = place
        self.folder, self.quiet = place / "docs", place / "quiet/docs"
        write_corpus(self.folder, documents=documents, most_paragraphs=1 if documents < 9 else 4)
        shutil.copytree(self.folder, self.quiet)
        self.max_tokens = max_tokens
        self.chance = chance
        self.encoder = JournalEchoEncoder(model, Journal(place / "journal"))
        self.quiet_encoder = JournalEchoEncoder(model, Journal(place / "quiet-journal"))
        self.complete: Answers | None = None
        self.kills = self.kills_in_embedding = self.builds = self.mutations = 0
        self.seconds = 0.0
        self.wrong: list[str] = []

    def stage(self, *, most: int, rebuild: bool) -> None:
        """Bring both indexes up to the documents, killing the builds of one up to `most` times."""
        journal = self.encoder.journal
        if rebuild:
            journal.path.unlink(missing_ok=True)  # all is embedded anew
        kills = 0
        while True:
            journal.attempt += 1
            lines = len(journal.batches())
            ended = self._build_disturbed(rebuild=rebuild, first=not kills, to_the_end=kills == most)
            if ended.how in ("broke", "refused"):
                self.wrong.append(f"{ended.how}: {ended.error}")
                return
            kills += ended.how == "killed"
            self.kills += ended.how == "killed"
            self.kills_in_embedding += ended.how == "killed" and len(journal.batches()) > lines
            arrived = self._is_newer(rebuild=rebuild)
            if ended.how == "done" or arrived:
                break
            if kills == 1 or self.chance.random() < 0.3:
                self.mutate()
        if ended.how == "done" and not arrived:
            self.wrong.append("a build that was done changed nothing")
        if texts := journal.embedded_in_vain():
            self.wrong.append(f"{len(texts)} texts were embedded twice, first {texts[0]!r}")

    def mutate(self) -> None:
        """Change the documents of both in the same way."""
        self.mutations += 1
        for folder in (self.folder, self.quiet):
            mutate(folder, seed=self.mutations)

    def _build_disturbed(self, *, rebuild: bool, first: bool, to_the_end: bool) -> Ended:
        """Build, and kill it: at the first time when a batch is embedded, later at random."""
        lines = len(self.encoder.journal.batches())
        process, pipe = start(lambda: self._build(self.folder, self.encoder, rebuild=rebuild))
        self.builds += 1
        if not to_the_end:
            while first and len(self.encoder.journal.batches()) == lines and _runs(process):
                time.sleep(0.005)
            time.sleep(self.chance.uniform(0.0, max(0.05, self.seconds * (0.1 if first else 1.0))))
            os.kill(process, signal.SIGKILL)
        return ended_of(process, pipe)

    def _build(self, folder: Path, encoder: EchoEncoder, *, rebuild: bool) -> None:
        build(folder, encoder, rebuild=rebuild, max_tokens=self.max_tokens)

    def _is_newer(self, *, rebuild: bool) -> bool:
        """Return whether there is a newer generation, which then has to be that of an undisturbed build.

        One that lacks its last step only, which the next writer takes first, counts: it is of these documents.
        """
        try:
            unaided = read_answers(self.folder / INDEX, self.quiet_encoder)
            with suppress(IndexMissing), writer_lock(self.folder / INDEX):
                recover_commit(self.folder / INDEX)
            seen = read_answers(self.folder / INDEX, self.quiet_encoder)
        except Exception as error:  # noqa: BLE001
            self.wrong.append(f"a reader met {type(error).__name__}: {error}")
            return False
        if difference(unaided, seen, tolerance=1e-6) and difference(unaided, self.complete, tolerance=1e-6):
            self.wrong.append(f"a reader saw no complete generation: {difference(unaided, seen)}")
        if seen is self.complete is None or (
            self.complete is not None and not difference(seen, self.complete, tolerance=1e-6)
        ):
            return False
        began = time.monotonic()
        self._build(self.quiet, self.quiet_encoder, rebuild=rebuild)
        self.seconds = max(self.seconds / 2, time.monotonic() - began)
        expected = read_answers(self.quiet / INDEX, self.quiet_encoder)
        if wrong := difference(seen, expected, tolerance=_TOLERANCE):
            self.wrong.append(f"after {self.kills} kills and {self.mutations} mutations: {wrong}")
        self.complete = seen
        return True


def main(model: str, place: str, documents: str, max_tokens: str, kills: str, seconds: str) -> None:
    """Write what happened as one JSON object; a first build takes about so many seconds."""
    torch.set_num_threads(1)
    twins = Twins(
        Path(place),
        load_model(model, device="cpu"),
        documents=int(documents),
        max_tokens=int(max_tokens),
        chance=random.Random(documents),
    )
    twins.seconds = float(seconds)
    stages = 0
    while twins.kills < int(kills) and not twins.wrong:
        if stages:
            twins.mutate()
        left = int(kills) - twins.kills
        twins.stage(most=min(left, 5), rebuild=stages % 3 == 1)
        stages += 1
    told = {name: getattr(twins, name) for name in ("kills", "kills_in_embedding", "builds", "mutations", "wrong")}
    sys.stdout.write(json.dumps({**told, "stages": stages, "passages": _passages(twins.complete)}))


def _runs(process: int) -> bool:
    return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def _passages(answers: Answers | None) -> int:
    return 0 if answers is None else len(answers.passages)


if __name__ == "__main__":
    main(*sys.argv[1:])
