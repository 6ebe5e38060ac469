"""The indexes that are served and their models, opened and loaded once and shared by all who ask."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from echo_index.app.services.collections import Collection
from echo_index.errors import CollectionError, EchoIndexError, IndexMismatch, IndexMissing

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from echo_index.embeddings.encoder_config import EncoderConfig
    from echo_index.embeddings.runtime.devices import DeviceChoice
    from echo_index.indexer.catalog.records import SearchFilter
    from echo_index.indexer.generations.snapshot import Snapshot
    from echo_index.indexer.stores.index_reader import IndexReader
    from echo_index.indexer.vectors.placement import IndexDevice
    from echo_index.retriever.search.hits import Hit
    from echo_index.retriever.search.retriever import Retriever
    from echo_index.retriever.search.searcher import Searcher

S = TypeVar("S", bound="Searcher")
T = TypeVar("T")

_MAX_NAME = 80  # characters of a name in an error
_MAX_SEARCHERS = 16  # different choices of collections that are kept open, of the many that there may be

OWN_MODEL = ""
"""Name of the embedding model where a model that writes answers is chosen."""


@dataclass(frozen=True)
class ServiceOptions:
    """The index to serve, or several that are searched as one, and the models to use.

    `name` and `about` say how the index is called and what it holds; `others` are further ones with the same encoder.
    `writers` are names of other models on this machine that may write the answers, `llms` names of models elsewhere.
    `lazy_writers` are writers that are loaded when they are first chosen, not at the start.
    With `with_answer_adapters`, models on this machine write with their adapters for answers, if there are any.
    """

    index_dir: Path
    name: str = ""
    about: str = ""
    others: tuple[Collection, ...] = ()
    model: str | None = None
    device: DeviceChoice = "auto"
    index_device: IndexDevice = "auto"
    writers: tuple[str, ...] = ()
    lazy_writers: tuple[str, ...] = ()
    with_answer_adapters: bool = True
    llms: tuple[str, ...] = ()

    @property
    def collections(self) -> tuple[Collection, ...]:
        """All indexes, the first of which is the one that is meant where none is named."""
        return (Collection(self.name, self.index_dir, self.about), *self.others)


class IndexService:
    """Retrievers and chat models of the indexes, shared by all visitors. Thread-safe."""

    def __init__(self, options: ServiceOptions, *, notice: Callable[[str], None] = lambda line: None) -> None:
        self.options = options
        self._notice = notice
        self._retrievers: dict[str, Retriever] = {}
        self._searchers: dict[tuple[str, ...], Searcher] = {}
        self._chat_models: dict[str, BaseChatModel] = {}
        self._lock = Lock()
        self._chat_models_lock = Lock()  # of its own, as a new writer takes minutes to load
        self._ready = False

    @property
    def index_dir(self) -> Path:
        """Folder of the first index, whether or not it exists."""
        return self.options.index_dir

    @property
    def collections(self) -> tuple[Collection, ...]:
        """The indexes."""
        return self.options.collections

    @property
    def has_several(self) -> bool:
        """Whether there are several indexes, so that hits name theirs."""
        return bool(self.options.others)

    @property
    def ready(self) -> bool:
        """Whether the model of the index is loaded, so that questions do not wait for it."""
        return self._ready

    @cached_property
    def writers(self) -> tuple[str, ...]:
        """Names of the models on this machine that may write the answers.

        OWN_MODEL, unless the model of the index only embeds; then those of the options.
        """
        from echo_index.app.services.writers import substitute_writer

        offered = (*self.options.writers, *self.options.lazy_writers)
        substitute = substitute_writer(self._encoder_config)
        return tuple(dict.fromkeys((OWN_MODEL if substitute is None else substitute, *offered)))

    @cached_property
    def default_writer(self) -> str:
        """Name of the model that writes where none is chosen: the best of `writers`."""
        from echo_index.app.services.writers import choose_writer
        from echo_index.embeddings.runtime.devices import choose_device

        if not self.options.with_answer_adapters:
            return self.writers[0]
        name = choose_writer(self._encoder_config, choose_device(self.options.device)).name
        return name if name in self.writers else self.writers[0]

    @property
    def _encoder_config(self) -> EncoderConfig:
        """The config of the encoder of the index, or of the one that will be built."""
        from echo_index.embeddings.models.bundled import DEFAULT_MODEL
        from echo_index.indexer.building.built_with import read_built_with

        built_with = read_built_with(self.index_dir)  # this opens no index, which would take the page long
        return built_with.encoder if built_with else {"model": self.options.model or DEFAULT_MODEL}

    def warm(self) -> None:
        """Load the models before the first question."""
        try:
            self.with_retriever(lambda retriever: retriever.encoder.model.tokenizer.full())
        except IndexMissing:
            pass  # the page itself explains how to build one
        except EchoIndexError as error:
            self._notice(str(error))  # every question will show the same error
        self._ready = True
        for writer in dict.fromkeys((*self.options.writers, self.default_writer)):
            if writer == OWN_MODEL:
                continue
            try:
                self.chat_model(writer)
            except EchoIndexError as error:
                self._notice(str(error))  # the same is said to whoever chooses it

    def with_searcher(self, act: Callable[[Searcher], T], *, collections: Sequence[str] = ()) -> T:
        """Return `act(searcher)` for some of the indexes, or for all where none is named.

        Indexes that were rebuilt with another model are opened again. What is wrong with one does not concern the
        others.

        Raises:
            CollectionError: there is no index of that name.
            IndexMissing: there is no index.
            IndexMismatch: the indexes were built with different models.
            IndexDamaged: an index cannot be read.
        """
        names = self.chosen(collections)
        return self._with_newest(names, lambda: self._searcher(names), act)

    def with_retriever(self, act: Callable[[Retriever], T], *, collection: str = "") -> T:
        """Return `act(retriever)` for one index, by default the first, as `with_searcher` does."""
        name = self.find(collection).name
        return self._with_newest((name,), lambda: self._retriever(name), act)

    def with_reader(self, act: Callable[[IndexReader], T], *, collection: str = "") -> T:
        """Return `act(reader)` for the newest generation of one index; this loads no model."""
        return self.with_retriever(lambda retriever: retriever.with_reader(act), collection=collection)

    def with_snapshot(self, act: Callable[[Snapshot], T], *, collection: str = "") -> T:
        """Return `act(snapshot)` like `with_reader`, for what needs the catalog of an index in a folder.

        Raises:
            StoreError: the index is in a store.
        """
        return self.with_retriever(lambda retriever: retriever.with_snapshot(act), collection=collection)

    def find(self, collection: str) -> Collection:
        """Return an index by its name, the first one if the name is empty.

        Raises:
            CollectionError: there is no index of that name.
        """
        return self.collections[0] if not collection else self._named(collection)

    def shown(self, collection: str) -> str:
        """Return the name of a collection as hits and results have it: empty if there is only one index."""
        return collection if self.has_several else ""

    def chosen(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the names of these indexes, or of all where none is given, in the order of `collections`.

        Raises:
            CollectionError: there is no index of that name.
        """
        wanted = {self._named(name).name for name in names}
        return tuple(each.name for each in self.collections if not wanted or each.name in wanted)

    def similar(
        self, source: str, start: int, *, collection: str = "", k: int = 10, where: SearchFilter | None = None
    ) -> list[Hit]:
        """Return the chunks of one index most similar to one of its chunks, see `Retriever.similar`.

        Raises:
            CollectionError: there is no index of that name, or there are several and none is named.
            QuestionError: no chunk starts there, or `k` is below 1.
        """
        if self.has_several and not collection:
            raise CollectionError("A passage of several collections needs the name of its own.", remedy=self._known())
        hits = self.with_retriever(
            lambda retriever: retriever.similar(source, start, k=k, where=where), collection=collection
        )
        return [replace(hit, collection=collection) for hit in hits] if self.has_several else hits

    def chat_model(self, name: str = OWN_MODEL, *, collections: Sequence[str] = ()) -> BaseChatModel:
        """Return the model that writes the answers: the embedding model, or one of the options by its name.

        The embedding model is that of these indexes, or of all where none is named.

        Raises:
            ModelError: the model cannot be opened, or is not one of those in the options.
        """
        from echo_index.app.services.external_llm import open_llm
        from echo_index.app.services.writers import chat_model_of, local_writer, own_writer
        from echo_index.errors import ModelError

        if name == OWN_MODEL:
            with_adapter = self.options.with_answer_adapters
            return self.with_searcher(
                lambda searcher: chat_model_of(own_writer(searcher, with_adapter=with_adapter)),
                collections=collections,
            )
        if name not in (*self.writers, *self.options.llms):
            raise ModelError(f"The model {name!r} is not one of the configured models.")
        with self._chat_models_lock:
            if name not in self._chat_models:
                self._chat_models[name] = (
                    chat_model_of(
                        local_writer(
                            name,
                            with_adapter=self.options.with_answer_adapters,
                            device=self.options.device,
                            notice=self._notice,
                        )
                    )
                    if name in self.writers
                    else open_llm(name)
                )
            return self._chat_models[name]

    def _named(self, name: str) -> Collection:
        for collection in self.collections:
            if collection.name == name:
                return collection
        raise CollectionError(f"There is no collection {name[:_MAX_NAME]!r} here.", remedy=self._known())

    def _known(self) -> str:
        return f"There are {', '.join(each.name for each in self.collections)}." if self.has_several else ""

    def _with_newest(self, names: Sequence[str], opened: Callable[[], S], act: Callable[[S], T]) -> T:
        """Return `act(opened())`; of these indexes, those that were rebuilt with another model are opened again before.

        Raises:
            IndexMissing: there is no index; of several, the error names the one.
        """
        try:
            try:
                searcher = opened()
                searcher.with_space(lambda space: None)
                return act(searcher)
            except IndexMismatch:
                with self._lock:
                    for name in names:
                        if name in self._retrievers and _was_rebuilt(self._retrievers[name]):
                            del self._retrievers[name]
                    self._searchers.clear()
                return act(opened())
        except IndexMissing as error:
            raise self._missing(names, error) from None

    def _missing(self, names: Sequence[str], error: IndexMissing) -> IndexMissing:
        """Return an error that names the first of several indexes that is missing, or the error itself."""
        from echo_index.indexer.generations.manifest import manifest_stamp

        for name in names if self.has_several else ():
            index = self._named(name).index
            try:
                manifest_stamp(index)
            except IndexMissing as missing:
                return IndexMissing(
                    f"The collection {name} cannot be used: {missing.message[0].lower()}{missing.message[1:]}",
                    remedy=f"Build it: echo-index build FOLDER --index {shlex.quote(str(index))}",
                    collection=name,
                )
        return error

    def _searcher(self, names: tuple[str, ...]) -> Searcher:
        from echo_index.retriever.search.collections_retriever import CollectionsRetriever

        retrievers = {name: self._retriever(name) for name in names}
        with self._lock:
            searcher = self._searchers.pop(names, None)
            if searcher is None:
                searcher = CollectionsRetriever(retrievers) if self.has_several else retrievers[names[0]]
            self._searchers[names] = searcher  # the last one used comes last
            if len(self._searchers) > _MAX_SEARCHERS:
                del self._searchers[next(iter(self._searchers))]
            return searcher

    def _retriever(self, name: str) -> Retriever:
        from echo_index.retriever.search.retriever import Retriever

        with self._lock:
            if name not in self._retrievers:
                # Each has an encoder of its own; the models of the encoders are shared, see `load_model`.
                self._retrievers[name] = Retriever.open(
                    self._named(name).index,
                    model=self.options.model,
                    device=self.options.device,
                    index_device=self.options.index_device,
                    notice=self._notice,
                )
            return self._retrievers[name]


def _was_rebuilt(retriever: Retriever) -> bool:
    """Return whether the index was rebuilt with another encoder."""
    try:
        retriever.current_reader()
    except IndexMismatch:
        return True
    return False
