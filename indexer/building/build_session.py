"""The steps that all builds share: open the catalog to be written, embed what comes into it, commit. Knows no files."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from echo_index.errors import IndexDamaged, IndexMismatch
from echo_index.indexer.building.document_sync import BuildReport
from echo_index.indexer.building.prefetch import Prefetch
from echo_index.indexer.catalog.catalog import CATALOG, Catalog, delete_catalog
from echo_index.indexer.documents.chunking import Chunking, embedded_text
from echo_index.indexer.generations.commit import commit_generation, remove_replaced_files
from echo_index.indexer.generations.manifest import FORMAT_VERSION, Canary, Manifest
from echo_index.indexer.generations.recovery import VisibleGeneration, catalog_path, other_catalogs, recover_commit
from echo_index.indexer.generations.source_registry import copy_settings
from echo_index.indexer.vectors.normalization import estimate_normalizations, has_drifted

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder

Stage = Literal["reading", "embedding", "asking", "indexing"]
Progress = Callable[[Stage, int, int | None], None]
"""Told the stage, how much of it is done, and of how much; None while that is not known."""

_WINDOW = 1024  # chunks taken from the catalog at a time: enough for batches of like length, little in memory
_ENOUGH = 128  # chunks that are waited for while files are read: fewer make poor batches
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


def begin_build(
    index_dir: Path, *, encoder: EchoEncoder, chunking: Chunking, rebuild: bool, progress: Progress
) -> BuildSession:
    """Open the catalog that is to be written, and see that it fits the encoder and the chunking.

    The caller holds the write lock.

    Raises:
        IndexMismatch, IndexDamaged, IndexUnwritable: as `build_index` does.
    """
    try:
        found = recover_commit(index_dir)
    except IndexDamaged:
        if not rebuild:
            raise
        found = VisibleGeneration(None)  # nothing can be read: what there is goes when the new index is complete
    visible = found.manifest
    begin = partial(BuildSession, index_dir, visible=visible, encoder=encoder, chunking=chunking, progress=progress)
    if not rebuild:
        return begin(_catalog_to_go_on_with(index_dir, visible), continues=visible is not None)
    if found.finished_rebuild:
        with suppress(IndexMismatch):  # that was another one
            return begin(_catalog_to_go_on_with(index_dir, visible), continues=True)
    current = visible.catalog_file if visible else None
    for path, was_complete in other_catalogs(index_dir, current):
        try:
            if not was_complete:  # but left by a rebuild that was interrupted
                work = begin(Catalog(path, write=True), continues=False)
                break
        except IndexMismatch:
            pass  # and that was another one
        delete_catalog(path)
    else:
        work = begin(Catalog(_new_catalog_path(index_dir, visible), create=True), continues=False)
    copy_settings(index_dir / (current or CATALOG), work.catalog)
    return work


def _catalog_to_go_on_with(index_dir: Path, visible: Manifest | None) -> Catalog:
    if visible is None:
        return Catalog(index_dir / CATALOG, create=True)
    return Catalog(index_dir / visible.catalog_file, write=True)


def _new_catalog_path(index_dir: Path, visible: Manifest | None) -> Path:
    numbers = count(visible.generation + 1 if visible else 1)
    paths = (index_dir / f"catalog-{number}.sqlite" for number in numbers)
    return next(path for path in paths if not path.exists())


class BuildSession:
    """What the steps of one build share.

    `shown` is the generation that readers see meanwhile; the build `continues` it, or fills a catalog of its own.
    """

    def __init__(
        self,
        index_dir: Path,
        catalog: Catalog,
        *,
        visible: Manifest | None,
        continues: bool,
        encoder: EchoEncoder,
        chunking: Chunking,
        progress: Progress,
    ) -> None:
        self.index_dir = index_dir
        self.catalog = catalog
        self.encoder = encoder
        self.chunking = chunking
        self.progress = progress
        self.report = BuildReport()
        self._to_embed: int | None = None
        self.visible = visible
        self.before = visible if continues else None
        try:
            self._refuse_mismatch()
            self.generation = visible.generation + 1 if visible else catalog.newest_generation()
            # What a removal had put off, and what an interrupted rebuild had begun.
            catalog.move_unfinished(beyond=self.before.generation if self.before else 0, to=self.generation)
        except BaseException:
            catalog.close()
            raise

    def _refuse_mismatch(self) -> None:
        """Let one index hold the vectors of one encoder and the chunks of one chunking only."""
        before = self.catalog.setting("built_with")
        if before is None or (self.before is None and not self.catalog.current_documents()):
            now = {"encoder": self.encoder.config(), "chunking": asdict(self.chunking)}
            self.catalog.set_settings({"built_with": json.dumps(now)})
            return
        had = BuiltWith.parse(before)
        differences = self.encoder.differences(had.encoder)
        cut = (
            ("chunk_tokens", had.chunking.max_tokens, self.chunking.max_tokens),
            ("overlap_tokens", had.chunking.overlap_tokens, self.chunking.overlap_tokens),
        )
        differences += [f"{name} was {then} and is now {now}" for name, then, now in cut if then != now]
        if differences:
            raise IndexMismatch(
                f"The index in {self.index_dir} was built with other settings: {'; '.join(differences)}.",
                remedy="Build it anew with --rebuild, or keep both with another --index.",
            )

    def embed_during(self, reading: Prefetch) -> None:
        """Read, and embed what is read as it comes; then whatever else has no vector yet."""
        # What an interrupted build left may be of files that have changed since: it comes last, if it is still there.
        after = self.catalog.newest_chunk()
        with reading:
            while not reading.is_over():
                self._tell(reading)
                if reading.brings(_ENOUGH):
                    after = self._embed(reading, after=after, least=_ENOUGH)
        if self._to_embed is None:
            self.progress("reading", reading.looked_at, None)
        self._embed(reading)

    def embed(self) -> None:
        """Embed every text that has no vector yet, once; each batch is kept as soon as it is there."""
        self._embed(None)

    def _embed(self, reading: Prefetch | None, *, after: int = -1, least: int = 1) -> int:
        """Embed what waits beyond a chunk, by id, while it is at least so many; return the last one."""
        while len(waiting := self.catalog.without_vector(after=after, limit=_WINDOW)) >= least:
            after = waiting[-1].id
            different = list({found.chunk.hash: found for found in waiting}.values())
            texts = [embedded_text(found.title, found.chunk.headings, found.chunk.text) for found in different]
            for positions, pairs in self.encoder.encode_document_pairs(texts):
                hashes = [different[position].chunk.hash for position in positions]
                self.catalog.put_vectors(hashes, pairs.echo, classical=pairs.classical)
                self.report.embedded += len(positions)
                self._tell(reading)
        return after

    def _tell(self, reading: Prefetch | None) -> None:
        """Tell how much is read; how much is embedded once that is known to be of how much."""
        if reading is not None and not reading.is_over():
            self.progress("reading", reading.looked_at, None)
            return
        if self._to_embed is None:
            self._to_embed = self.report.embedded + self.catalog.count_without_vector()
        self.progress("embedding", self.report.embedded, self._to_embed)

    def commit(self) -> None:
        """Make the new generation the one that readers see, if anything in it is new."""
        report = self.report
        changed = (
            self.before is None
            or self.before.format_version < FORMAT_VERSION  # an earlier version's, brought up to date
            or bool(report.embedded)
            or self.catalog.differs_in(self.generation)
            or has_drifted(self.before.normalizations.echo, self.catalog, generation=self.generation)
        )
        generation = self.generation if changed else self.generation - 1
        counts = self.catalog.counts(generation=generation)
        report.documents, report.chunks = counts.documents, counts.chunks
        report.failures += self.catalog.failures(generation=generation)
        if not changed:
            remove_replaced_files(self.index_dir, self.catalog)
            return
        normalizations = estimate_normalizations(
            self.catalog,
            self.before.normalizations if self.before else None,
            generation=generation,
            count=counts.chunks,
            encoder=self.encoder,
            asked=partial(self.progress, "asking"),
        )
        self.progress("indexing", 0, counts.chunks)
        commit_generation(
            self.index_dir,
            self.catalog,
            generation=generation,
            counts=counts,
            fingerprint=self.encoder.fingerprint,
            encoder=self.encoder.config(),
            chunking=asdict(self.chunking),
            normalizations=normalizations,
            canaries=self.before.canaries if self.before else self._canaries(),
            before=self.visible,
        )

    def _canaries(self) -> tuple[Canary, ...]:
        vectors = self.encoder.encode_documents(_CANARIES)
        return tuple(Canary(text, tuple(vector)) for text, vector in zip(_CANARIES, vectors.tolist(), strict=True))


def read_built_with(index_dir: Path) -> BuiltWith | None:
    """Return what an index was begun with, be it complete or not; None where there is none, or none to be read."""
    try:
        with closing(Catalog(catalog_path(index_dir))) as catalog:
            settings = catalog.setting("built_with")
    except IndexDamaged:
        return None
    return None if settings is None else BuiltWith.parse(settings)
