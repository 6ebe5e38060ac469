"""One index and its models, opened and loaded once and shared by all visitors of the web page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from echo_index.errors import EchoIndexError, IndexMismatch, IndexMissing

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from echo_index.embeddings.runtime.devices import DeviceChoice
    from echo_index.indexer.generations.snapshot import Snapshot
    from echo_index.indexer.vectors.placement import IndexDevice
    from echo_index.retriever.search.retriever import Retriever

T = TypeVar("T")

OWN_MODEL = ""
"""Name of the embedding model where a model that writes answers is chosen."""


@dataclass(frozen=True)
class ServiceOptions:
    """The index to serve and the models to use.

    `writers` are names of other models on this machine that may write the answers, `llms` names of models elsewhere.
    `lazy_writers` are writers that are loaded when they are first chosen, not at the start.
    With `with_answer_adapters`, models on this machine write with their adapters for answers, if there are any.
    """

    index_dir: Path
    model: str | None = None
    device: DeviceChoice = "auto"
    index_device: IndexDevice = "auto"
    writers: tuple[str, ...] = ()
    lazy_writers: tuple[str, ...] = ()
    with_answer_adapters: bool = True
    llms: tuple[str, ...] = ()


class IndexService:
    """Retriever and chat models of one index, shared by all visitors. Thread-safe."""

    def __init__(self, options: ServiceOptions, *, notice: Callable[[str], None] = lambda line: None) -> None:
        self.options = options
        self._notice = notice
        self._retriever: Retriever | None = None
        self._chat_models: dict[str, BaseChatModel] = {}
        self._lock = Lock()
        self._chat_models_lock = Lock()  # of its own, as a new writer takes minutes to load
        self._ready = False

    @property
    def index_dir(self) -> Path:
        """Folder of the index, whether or not it exists."""
        return self.options.index_dir

    @property
    def ready(self) -> bool:
        """Whether the model of the index is loaded, so that questions do not wait for it."""
        return self._ready

    @cached_property
    def default_writer(self) -> str:
        """Name of the model that writes where none is chosen: OWN_MODEL, or the best local one of the options."""
        from echo_index.app.services.writers import choose_writer
        from echo_index.embeddings.models.bundled import DEFAULT_MODEL
        from echo_index.embeddings.runtime.devices import choose_device
        from echo_index.indexer.building.build_session import read_built_with

        if not self.options.with_answer_adapters:
            return OWN_MODEL
        built_with = read_built_with(self.index_dir)  # this opens no index, which would take the page long
        model = self.options.model or DEFAULT_MODEL if built_with is None else str(built_with.encoder["model"])
        name = choose_writer(model, choose_device(self.options.device)).name
        return name if name in (*self.options.writers, *self.options.lazy_writers) else OWN_MODEL

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

    def with_retriever(self, act: Callable[[Retriever], T]) -> T:
        """Return `act(retriever)` for the current index, which is opened again if it was rebuilt with another model.

        Raises:
            IndexMissing: there is no index.
            IndexDamaged: the index cannot be read.
        """
        retriever = self._open()
        try:
            retriever.current_snapshot()
            return act(retriever)
        except IndexMismatch:
            return act(self._open(instead_of=retriever))

    def with_snapshot(self, act: Callable[[Snapshot], T]) -> T:
        """Return `act(snapshot)` for the newest generation of the index; this loads no model."""
        return self.with_retriever(lambda retriever: retriever.with_snapshot(act))

    def chat_model(self, name: str = OWN_MODEL) -> BaseChatModel:
        """Return the model that writes the answers: the embedding model, or one of the options by its name.

        Raises:
            ModelError: the model cannot be opened, or is not one of those in the options.
        """
        from echo_index.app.services.external_llm import open_llm
        from echo_index.app.services.writers import chat_model_of, local_writer, own_writer
        from echo_index.errors import ModelError

        if name == OWN_MODEL:
            with_adapter = self.options.with_answer_adapters
            return self.with_retriever(
                lambda retriever: chat_model_of(own_writer(retriever, with_adapter=with_adapter))
            )
        local = (*self.options.writers, *self.options.lazy_writers)
        if name not in (*local, *self.options.llms):
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
                    if name in local
                    else open_llm(name)
                )
            return self._chat_models[name]

    def _open(self, *, instead_of: Retriever | None = None) -> Retriever:
        from echo_index.retriever.search.retriever import Retriever

        with self._lock:
            if self._retriever is None or self._retriever is instead_of:
                self._retriever = Retriever.open(
                    self.index_dir,
                    model=self.options.model,
                    device=self.options.device,
                    index_device=self.options.index_device,
                    notice=self._notice,
                )
            return self._retriever
