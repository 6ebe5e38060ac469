"""The steps that all builds share: embed new chunks, commit a generation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from echo_index.errors import IndexMismatch
from echo_index.indexer.building.build_progress import OnRecognizing, Progress
from echo_index.indexer.building.built_with import BuiltWith
from echo_index.indexer.building.document_sync import BuildReport
from echo_index.indexer.building.prefetch import Prefetch
from echo_index.indexer.building.prepared import NOTHING, Prepared
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.generation_summary import document_failures, generation_counts
from echo_index.indexer.catalog.index_context import stored_context
from echo_index.indexer.documents.chunking import Chunking, embedded_text
from echo_index.indexer.generations.commit import commit_generation, remove_replaced_files
from echo_index.indexer.generations.manifest import FORMAT_VERSION, Canary, Manifest
from echo_index.indexer.generations.vector_file_build import (
    is_outdated,
    needs_queries,
    store_queries,
)
from echo_index.indexer.stores.publishing import publish_index
from echo_index.indexer.vectors.normalization_estimate import (
    embed_held_out_queries,
    estimate_normalizations,
    has_drifted,
)
from echo_index.indexer.vectors.recall import HeldOutQueries

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.embeddings.vectors.paired_embeddings import EmbeddingPair
    from echo_index.indexer.catalog.records import Counts
    from echo_index.indexer.vectors.normalization import NormalizationPair

_WINDOW = 1024  # chunks loaded at a time: enough to form batches of similar length, few enough for little RAM
_LEAST_CHUNKS = 128  # to embed at once while files are still being read: fewer make inefficient batches
_CANARIES = (
    "She loves summer but dislikes the heat.",
    "An index is complete when its manifest stands in its place.",
    "def add(first, second):\n    return first + second",
)


class BuildSession:
    """The state that the steps of one build share.

    `visible` is the generation that readers see during the build, which `continues` its catalog or fills a new one.
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
        on_recognizing: OnRecognizing,
    ) -> None:
        self.index_dir = index_dir
        self.catalog = catalog
        self.encoder = encoder
        self.chunking = chunking
        self.progress = progress
        self.on_recognizing = on_recognizing
        self.report = BuildReport()
        self.prepared: Prepared = NOTHING
        self._to_embed: int | None = None
        self.visible = visible
        self.before = visible if continues else None
        try:
            self._validate_settings()
            self.generation = visible.generation + 1 if visible else catalog.newest_generation()
            # Changes of an interrupted build become part of this generation.
            catalog.move_unfinished(beyond=self.before.generation if self.before else 0, to=self.generation)
        except BaseException:
            catalog.close()
            raise

    @property
    def context(self) -> str:
        """The line that is embedded with each chunk, or ''."""
        return stored_context(self.catalog) or ""

    def _validate_settings(self) -> None:
        """Check that the index has the same encoder and chunking, or record them in a new one."""
        stored = self.catalog.setting("built_with")
        if stored is None or (self.before is None and not self.catalog.current_documents()):
            settings = {"encoder": self.encoder.config(), "chunking": asdict(self.chunking)}
            self.catalog.set_settings({"built_with": json.dumps(settings)})
            return
        built_with = BuiltWith.parse(stored)
        differences = self.encoder.differences(built_with.encoder)
        lengths = (
            ("chunk_tokens", built_with.chunking.max_tokens, self.chunking.max_tokens),
            ("overlap_tokens", built_with.chunking.overlap_tokens, self.chunking.overlap_tokens),
        )
        differences += [f"{name} was {old} and is now {new}" for name, old, new in lengths if old != new]
        if differences:
            raise IndexMismatch(
                f"The index in {self.index_dir} was built with other settings: {'; '.join(differences)}.",
                remedy="Rebuild it with --rebuild, or build a second index with another --index.",
            )

    def embed_during(self, reading: Prefetch) -> None:
        """Embed chunks while files are being read, then everything else that has no vector yet."""
        # Chunks that an interrupted build left come last: their files may have changed, and then they are removed.
        after = self.catalog.newest_chunk()
        with reading:
            while not reading.is_finished():
                self._report_progress(reading)
                if reading.wait_for_chunks(_LEAST_CHUNKS):
                    after = self._embed(reading, after=after, least=_LEAST_CHUNKS)
        if self._to_embed is None:
            self.progress("reading", reading.files_seen, None)
        self._embed(reading)

    def embed(self) -> None:
        """Embed every distinct text that has no vector yet; each batch is stored at once."""
        self._embed(None)

    def _embed(self, reading: Prefetch | None, *, after: int = -1, least: int = 1) -> int:
        """Embed chunks with ids above `after` while at least `least` are waiting; return the last id."""
        context = self.context
        while len(waiting := self.catalog.without_vector(after=after, limit=_WINDOW)) >= least:
            after = waiting[-1].id
            distinct = list({stored.chunk.hash: stored for stored in waiting}.values())
            texts = [
                embedded_text(stored.title, stored.chunk.headings, stored.chunk.full_text, context=context)
                for stored in distinct
            ]
            for positions, pairs in self._vectors([stored.chunk.hash for stored in distinct], texts):
                hashes = [distinct[position].chunk.hash for position in positions]
                if pairs.classical is None:
                    self.catalog.keep_classical_vectors(False)  # the prompt has the text once, and gives none
                classical = pairs.classical if self.catalog.keeps_classical_vectors else None
                self.catalog.put_vectors(hashes, pairs.echo, classical=classical)
                self.report.embedded += len(positions)
                self._report_progress(reading)
        return after

    def _vectors(self, hashes: Sequence[bytes], texts: Sequence[str]) -> Iterator[tuple[Sequence[int], EmbeddingPair]]:
        """Yield (positions, vectors) of texts: first those that were embedded ahead, then the others as they come."""
        ahead, pairs = self.prepared.vectors(hashes)
        if ahead:
            yield ahead, pairs
        taken = {*ahead}
        others = [position for position in range(len(texts)) if position not in taken]
        for positions, embedded in self.encoder.encode_document_pairs([texts[position] for position in others]):
            yield [others[position] for position in positions], embedded

    def _report_progress(self, reading: Prefetch | None) -> None:
        """Report the number of files while they are being read, afterwards the number of embedded texts."""
        if reading is not None and not reading.is_finished():
            self.on_recognizing(reading.activity())
            self.progress("reading", reading.files_seen, None)
            return
        if self._to_embed is None:
            self.on_recognizing("")
            self._to_embed = self.report.embedded + self.catalog.count_without_vector()
        self.progress("embedding", self.report.embedded, self._to_embed)

    def commit(self) -> None:
        """Make the new generation visible to readers if anything has changed; then publish it, if there is a store.

        Raises:
            StoreError: the index is complete, but the store cannot be reached.
        """
        self._commit()
        self.report.published = publish_index(
            self.index_dir, self.catalog, on_published=lambda done, total: self.progress("publishing", done, total)
        )

    def _commit(self) -> None:
        report = self.report
        changed = (
            self.before is None
            or self.before.format_version < FORMAT_VERSION
            or self.before.context != self.context
            or bool(report.embedded)
            or self._has_lost_classical_vectors(self.before)
            or self.catalog.differs_in(self.generation)
            or is_outdated(self.catalog, self.before)
            or has_drifted(self.before.normalizations.echo, self.catalog, generation=self.generation)
        )
        generation = self.generation if changed else self.generation - 1
        counts = generation_counts(self.catalog, generation=generation)
        report.documents, report.chunks = counts.documents, counts.chunks
        report.failures += document_failures(self.catalog, generation=generation)
        if not changed:
            remove_replaced_files(self.index_dir, self.catalog)
            return
        normalizations = estimate_normalizations(
            self.catalog,
            self.before.normalizations if self.before and self.before.context == self.context else None,
            generation=generation,
            count=counts.chunks,
            encoder=self.encoder,
            on_progress=partial(self.progress, "normalizing"),
        )
        dimension = self.encoder.dimension
        if needs_queries(self.catalog, count=counts.chunks, dimension=dimension):
            vectors = embed_held_out_queries(
                self.catalog,
                generation=generation,
                encoder=self.encoder,
                on_progress=partial(self.progress, "normalizing"),
            )
            store_queries(self.catalog, HeldOutQueries.of(vectors))
        self.progress("indexing", 0, counts.chunks)
        report.vector_index = self.make_visible(generation, counts, normalizations).vector_index

    def make_visible(
        self, generation: int, counts: Counts, normalizations: NormalizationPair, *, store: str = ""
    ) -> Manifest:
        """Commit a generation with what this build knows of it; `store` is where its passages are, if there alone."""
        return commit_generation(
            self.index_dir,
            self.catalog,
            generation=generation,
            counts=counts,
            fingerprint=self.encoder.fingerprint,
            encoder=self.encoder.config(),
            chunking=asdict(self.chunking),
            context=self.context,
            normalizations=normalizations,
            canaries=self.before.canaries if self.before else self._canaries(),
            before=self.visible,
            store=store,
        )

    def _has_lost_classical_vectors(self, before: Manifest) -> bool:
        classical = before.normalizations.classical
        return not (classical is None or classical.is_identity or self.catalog.keeps_classical_vectors)

    def _canaries(self) -> tuple[Canary, ...]:
        vectors = self.encoder.encode_documents(_CANARIES)
        return tuple(Canary(text, tuple(vector)) for text, vector in zip(_CANARIES, vectors.tolist(), strict=True))
