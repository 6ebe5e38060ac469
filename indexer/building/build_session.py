"""Provide the steps that all builds share: open the catalog for writing, embed new chunks, commit a generation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from echo_index.errors import IndexDamaged, IndexMismatch, TextError
from echo_index.indexer.building.document_sync import BuildReport
from echo_index.indexer.building.prefetch import Prefetch
from echo_index.indexer.building.prepared import NOTHING, Prepared
from echo_index.indexer.catalog.catalog import CATALOG, Catalog, delete_catalog
from echo_index.indexer.catalog.index_context import change_context, stored_context
from echo_index.indexer.documents.chunking import Chunking, embedded_text
from echo_index.indexer.documents.context_line import parse_context, shown_context
from echo_index.indexer.generations.commit import commit_generation, remove_replaced_files
from echo_index.indexer.generations.manifest import FORMAT_VERSION, Canary, Manifest
from echo_index.indexer.generations.recovery import VisibleGeneration, catalog_path, other_catalogs, recover_commit
from echo_index.indexer.generations.source_registry import copy_settings
from echo_index.indexer.generations.vector_file_build import (
    change_choice,
    is_outdated,
    needs_queries,
    store_queries,
    validate_choice,
)
from echo_index.indexer.stores.publishing import choose_passages_place, publish_index, remember_store
from echo_index.indexer.vectors.index_kind import AUTO, IndexChoice
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

Stage = Literal["distributing", "reading", "embedding", "normalizing", "indexing", "publishing"]
Progress = Callable[[Stage, int, int | None], None]
"""Receives the stage, the number of items done, and the number of all items, or None if it is not known yet."""

OnRecognizing = Callable[[str], None]
"""Receives the page that OCR reads at the moment, such as "scan.pdf, page 3 of 40"; an empty text if it reads none."""

_WINDOW = 1024  # chunks loaded at a time: enough to form batches of similar length, few enough for little RAM
_LEAST_CHUNKS = 128  # to embed at once while files are still being read: fewer make inefficient batches
_CANARIES = (
    "She loves summer but dislikes the heat.",
    "An index is complete when its manifest stands in its place.",
    "def add(first, second):\n    return first + second",
)


@dataclass(frozen=True)
class BuiltWith:
    """The encoder configuration and the chunking with which an index was started."""

    encoder: dict[str, str | int | None]
    chunking: Chunking

    @classmethod
    def parse(cls, text: str) -> BuiltWith:
        """Parse the JSON that the catalog stores."""
        fields = json.loads(text)
        return cls(encoder=fields["encoder"], chunking=Chunking(**fields["chunking"]))


def begin_build(
    index_dir: Path,
    *,
    encoder: EchoEncoder,
    chunking: Chunking,
    rebuild: bool,
    compare: bool | None = None,
    context: str | None = None,
    index_kind: str | None = None,
    recall: float | None = None,
    store: str | None = None,
    store_only: bool | None = None,
    progress: Progress,
    on_recognizing: OnRecognizing = lambda page: None,
) -> BuildSession:
    """Open the catalog for writing and check that it matches the encoder and the chunking.

    `compare` says whether classical vectors are stored, too, `context` what is embedded with each chunk, `index_kind`
    and `recall` which index they get, `store` where it is published, and `store_only` whether its passages are there
    alone; None is what the build before did. The caller holds the writer's lock.

    Raises:
        StoreError: a new store cannot be reached, or holds another index.
        TextError: the context cannot be one, or leaves too little room for the text of a chunk.
        IndexMismatch: the index was built with another encoder or chunking, or by a later version of echo-index.
        IndexDamaged: the catalog cannot be read, and `rebuild` is false.
        IndexUnwritable: the disk is full or the folder cannot be written.
        IndexKindError: FAISS does not know the kind of index.
    """
    if index_kind is not None or recall is not None:
        validate_choice(IndexChoice(index_kind or AUTO, 1 if recall is None else recall), dimension=encoder.dimension)
    if context is not None:
        context = valid_context(context, encoder, chunking)
    session = _open_session(
        index_dir,
        encoder=encoder,
        chunking=chunking,
        rebuild=rebuild,
        store_only=store_only,
        progress=progress,
        on_recognizing=on_recognizing,
    )
    try:
        remember_store(session.catalog, store, rebuild=rebuild)
        choose_passages_place(session.catalog, store_only)
        if session.catalog.keeps_passages_outside:
            _validate_for_store(session, compare=compare, context=context, index_kind=index_kind, recall=recall)
    except BaseException:
        session.catalog.close()
        raise
    session.catalog.keep_classical_vectors(session.catalog.keeps_classical_vectors if compare is None else compare)
    if context is not None and context != session.context:
        change_context(session.catalog, context, generation=session.generation)
    if index_kind is not None or recall is not None:
        change_choice(session.catalog, kind=index_kind, recall=recall, generation=session.generation)
    return session


def _validate_for_store(
    session: BuildSession, *, compare: bool | None, context: str | None, index_kind: str | None, recall: float | None
) -> None:
    """Raise an error if a build is asked for what an index with its passages in a store alone cannot have."""
    wanted = {"--compare": compare, "--index-kind": index_kind is not None, "--recall": recall is not None}
    if refused := [name for name, is_wanted in wanted.items() if is_wanted]:
        raise IndexMismatch(
            f"An index whose passages are in a store alone has no {' and no '.join(refused)}.",
            remedy="Leave it out, or build without --store-only.",
        )
    if context not in (None, session.context) and session.catalog.current_documents():
        raise IndexMismatch(
            f"The passages of the index in {session.index_dir} are in a store alone, with another context.",
            remedy="Rebuild it with --rebuild.",
        )


def valid_context(text: str, encoder: EchoEncoder, chunking: Chunking) -> str:
    """Return a context as it is stored, if the encoder has room for it before a chunk of the largest size.

    Raises:
        TextError: it cannot be a context, or it has too many tokens.
    """
    context = parse_context(text)
    room = encoder.max_tokens - chunking.max_tokens
    if context and (tokens := len(encoder.token_starts(context))) > room:
        raise TextError(
            f"The context {shown_context(context)} has {tokens} tokens, but only {room} have room before a passage of "
            f"{chunking.max_tokens}.",
            remedy="Shorten it.",
        )
    return context


def _open_session(
    index_dir: Path,
    *,
    encoder: EchoEncoder,
    chunking: Chunking,
    rebuild: bool,
    store_only: bool | None,
    progress: Progress,
    on_recognizing: OnRecognizing,
) -> BuildSession:
    try:
        recovered = recover_commit(index_dir)
    except IndexDamaged:
        if not rebuild:
            raise
        recovered = VisibleGeneration(None)  # the damaged files are deleted when the new index is complete
    visible = recovered.manifest
    begin = partial(
        BuildSession,
        index_dir,
        visible=visible,
        encoder=encoder,
        chunking=chunking,
        progress=progress,
        on_recognizing=on_recognizing,
    )
    if not rebuild:
        return begin(_open_current_catalog(index_dir, visible), continues=visible is not None)
    if recovered.finished_rebuild:
        with suppress(IndexMismatch):  # the finished rebuild had other settings
            return begin(_open_current_catalog(index_dir, visible), continues=True)
    current = visible.catalog_file if visible else None
    for path, was_complete in other_catalogs(index_dir, current):
        try:
            if not was_complete:  # an interrupted rebuild left it
                session = begin(Catalog(path, write=True), continues=False)
                if store_only in (None, session.catalog.keeps_passages_outside):
                    break
                session.catalog.close()
        except IndexMismatch:
            pass  # the interrupted rebuild had other settings
        delete_catalog(path)
    else:
        session = begin(Catalog(_new_catalog_path(index_dir, visible), create=True), continues=False)
    copy_settings(index_dir / (current or CATALOG), session.catalog)
    return session


def _open_current_catalog(index_dir: Path, visible: Manifest | None) -> Catalog:
    if visible is None:
        return Catalog(index_dir / CATALOG, create=True)
    return Catalog(index_dir / visible.catalog_file, write=True)


def _new_catalog_path(index_dir: Path, visible: Manifest | None) -> Path:
    numbers = count(visible.generation + 1 if visible else 1)
    paths = (index_dir / f"catalog-{number}.sqlite" for number in numbers)
    return next(path for path in paths if not path.exists())


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
        counts = self.catalog.counts(generation=generation)
        report.documents, report.chunks = counts.documents, counts.chunks
        report.failures += self.catalog.failures(generation=generation)
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


def read_built_with(index_dir: Path) -> BuiltWith | None:
    """Return the settings of a complete or unfinished index, or None if there is no readable one."""
    try:
        with closing(Catalog(catalog_path(index_dir))) as catalog:
            settings = catalog.setting("built_with")
    except IndexDamaged:
        return None
    return None if settings is None else BuiltWith.parse(settings)
