"""The composer of a build: scan, diff, chunk, embed, commit. Knows the order of the steps and none of their details."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from echo_embeddings.errors import IndexDamaged, IndexMismatch, IndexMissing
from indexer.catalog import CATALOG, Catalog
from indexer.chunks import Chunking, embedded_text
from indexer.commit import commit_generation
from indexer.lock import only_writer
from indexer.manifest import Canary, Manifest, read_manifest
from indexer.means import means_for
from indexer.remembered import carry_over, remember_sources
from indexer.sources import Source
from indexer.update import BuildReport, DocumentUpdate

if TYPE_CHECKING:
    from echo_embeddings import EchoEncoder

Stage = Literal["reading", "embedding", "indexing"]
Progress = Callable[[Stage, int, int | None], None]
"""Told the stage, how much of it is done, and of how much; None while that is not known."""

_WINDOW = 1024  # chunks taken from the catalog at a time: enough for batches of like length, little in memory
_CANARIES = (
    "She loves summer but dislikes the heat.",
    "An index is complete when its manifest stands in its place.",
    "def add(first, second):\n    return first + second",
)


@dataclass(frozen=True)
class BuiltWith:
    """What an index was begun with: its encoder's description, and how its documents are cut."""

    encoder: dict[str, str | int | None]
    chunking: Chunking

    @classmethod
    def parse(cls, text: str) -> BuiltWith:
        """Read what was written as JSON."""
        fields = json.loads(text)
        return cls(encoder=fields["encoder"], chunking=Chunking(**fields["chunking"]))


def build_index(
    sources: Sequence[Source],
    index_dir: Path,
    *,
    encoder: EchoEncoder,
    chunking: Chunking | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    rebuild: bool = False,
    progress: Progress = lambda stage, done, total: None,
) -> BuildReport:
    """Bring an index up to date with its sources: only what is new or changed is read, cut and embedded.

    Documents that no source covers stay as they are; documents that were removed from the index are left out, unless a
    source is that very file. `rebuild` makes a new index beside the old one, which it replaces when it is complete.
    Interrupted at any time, the next build goes on where this one ended. The sources are remembered: `read_sources`.

    Raises:
        SourceError: there is nothing to index in the sources.
        IndexMismatch: the index was built with another encoder or chunking, and `rebuild` is false.
        IndexBusy: another process is building this index.
    """
    started = time.monotonic()
    rebuilt, replaced = _beside(index_dir, "rebuild"), _beside(index_dir, "old")
    if replaced.exists() and not index_dir.exists():
        replaced.rename(index_dir)  # a rebuild was killed between its two renames
    index_dir.mkdir(parents=True, exist_ok=True)
    with only_writer(index_dir):
        try:
            work = _Build(rebuilt if rebuild else index_dir, encoder=encoder, chunking=chunking, progress=progress)
        except (IndexDamaged, IndexMismatch):
            if not rebuild:
                raise
            shutil.rmtree(rebuilt)  # an interrupted rebuild that this one cannot go on with
            work = _Build(rebuilt, encoder=encoder, chunking=chunking, progress=progress)
        with closing(work.catalog):
            if rebuild:
                carry_over(index_dir, work.catalog)
            work.update(sources, include=include, exclude=exclude, skip=[index_dir, rebuilt, replaced])
            remember_sources(work.catalog, index_dir, sources)
            work.embed()
            work.commit()
        if rebuild:
            _replace(index_dir, by=rebuilt, old=replaced)
    work.report.seconds = time.monotonic() - started
    return work.report


class _Build:
    """What the steps of one build share."""

    def __init__(self, index_dir: Path, *, encoder: EchoEncoder, chunking: Chunking | None, progress: Progress) -> None:
        self.index_dir = index_dir
        self.encoder = encoder
        self.chunking = chunking or Chunking()
        self.progress = progress
        self.report = BuildReport()
        index_dir.mkdir(exist_ok=True)
        self.before = _complete_manifest(index_dir)
        self.catalog = Catalog(index_dir / CATALOG, create=True)
        try:
            self._refuse_mismatch()
            self.generation = self.before.generation + 1 if self.before else self.catalog.newest_generation()
            if self.before:  # what a removal had put off
                self.catalog.move_unfinished(beyond=self.before.generation, to=self.generation)
        except BaseException:
            self.catalog.close()
            raise

    def _refuse_mismatch(self) -> None:
        """Let one index hold the vectors of one encoder and the chunks of one chunking only."""
        before = self.catalog.setting("built_with")
        if before is None or (self.before is None and not self.catalog.current_documents()):
            now = {"encoder": self.encoder.description(), "chunking": asdict(self.chunking)}
            self.catalog.set_settings({"built_with": json.dumps(now)})
            return
        had = BuiltWith.parse(before)
        differences = self.encoder.differences(had.encoder)
        differences += [
            f"{name} was {asdict(had.chunking)[name]} and is now {value}"
            for name, value in asdict(self.chunking).items()
            if asdict(had.chunking)[name] != value
        ]
        if differences:
            raise IndexMismatch(
                f"The index in {self.index_dir} was built with other settings: {'; '.join(differences)}.",
                remedy="Build it anew with --rebuild, or keep both with another --index.",
            )

    def update(
        self, sources: Sequence[Source], *, include: Sequence[str], exclude: Sequence[str], skip: Sequence[Path]
    ) -> None:
        """Read and cut every file that is new or changed; let go of those that are gone."""
        DocumentUpdate(
            self.catalog,
            self.index_dir,
            generation=self.generation,
            chunking=self.chunking,
            token_starts=self.encoder.token_starts,
            report=self.report,
        ).run(
            sources,
            include=include,
            exclude=exclude,
            skip=skip,
            progress=lambda done: self.progress("reading", done, None),
        )

    def embed(self) -> None:
        """Embed every text that has no vector yet, once; each batch is kept as soon as it is there."""
        total = self.catalog.count_without_vector()
        after = -1
        while waiting := self.catalog.without_vector(after=after, limit=_WINDOW):
            after = waiting[-1].id
            different = list({found.chunk.hash: found for found in waiting}.values())
            texts = [embedded_text(found.title, found.chunk.headings, found.chunk.text) for found in different]
            for positions, readings in self.encoder.document_readings(texts):
                hashes = [different[position].chunk.hash for position in positions]
                self.catalog.put_vectors(hashes, readings.echo, classical=readings.classical)
                self.report.embedded += len(positions)
                self.progress("embedding", self.report.embedded, total)

    def commit(self) -> None:
        """Make the new generation the one that readers see, if anything in it is new."""
        report = self.report
        changed = self.before is None or self.catalog.differs_in(self.generation)
        generation = self.generation if changed else self.generation - 1
        counts = self.catalog.counts(generation=generation)
        report.documents, report.chunks = counts.documents, counts.chunks
        report.failures += self.catalog.failures(generation=generation)
        if not changed:
            return
        self.progress("indexing", 0, counts.chunks)
        before = self.before.means if self.before else None
        commit_generation(
            self.index_dir,
            self.catalog,
            generation=generation,
            counts=counts,
            fingerprint=self.encoder.fingerprint,
            encoder=self.encoder.description(),
            chunking=asdict(self.chunking),
            means=means_for(self.catalog, before, generation=generation, count=counts.chunks, encoder=self.encoder),
            canaries=self.before.canaries if self.before else self._canaries(),
            before=self.before,
        )

    def _canaries(self) -> tuple[Canary, ...]:
        vectors = self.encoder.encode_documents(_CANARIES)
        return tuple(Canary(text, tuple(vector)) for text, vector in zip(_CANARIES, vectors.tolist(), strict=True))


def read_built_with(index_dir: Path) -> BuiltWith | None:
    """Return what an index was begun with, be it complete or not; None where there is none, or none to be read."""
    with closing(Catalog(index_dir / CATALOG)) as catalog:
        try:
            settings = catalog.setting("built_with")
        except IndexDamaged:
            return None
    return None if settings is None else BuiltWith.parse(settings)


def _complete_manifest(index_dir: Path) -> Manifest | None:
    try:
        return read_manifest(index_dir)
    except IndexMissing:
        return None


def _beside(index_dir: Path, ending: str) -> Path:
    return index_dir.with_name(f"{index_dir.name}.{ending}")


def _replace(index_dir: Path, *, by: Path, old: Path) -> None:
    shutil.rmtree(old, ignore_errors=True)
    index_dir.rename(old)
    by.rename(index_dir)
    shutil.rmtree(old, ignore_errors=True)
