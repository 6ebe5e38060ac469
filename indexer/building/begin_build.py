"""Begin a build: open the catalog for writing, and apply what the user has chosen for the index."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from echo_index.errors import IndexDamaged, IndexMismatch, TextError
from echo_index.indexer.building.build_progress import OnRecognizing, Progress
from echo_index.indexer.building.build_session import BuildSession
from echo_index.indexer.catalog.catalog import CATALOG, Catalog, delete_catalog
from echo_index.indexer.catalog.index_context import change_context
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.documents.context_line import parse_context, shown_context
from echo_index.indexer.generations.manifest import Manifest
from echo_index.indexer.generations.recovery import VisibleGeneration, other_catalogs, recover_commit
from echo_index.indexer.generations.source_registry import copy_settings
from echo_index.indexer.generations.vector_file_build import (
    change_choice,
    validate_choice,
)
from echo_index.indexer.stores.publishing import choose_passages_place, remember_store
from echo_index.indexer.vectors.index_kind import AUTO, IndexChoice

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder


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
