"""One index and its models, shared by everyone who is served: opened when there is one, loaded once. Knows no page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from echo_index.app.defaults import DEFAULTS
from echo_index.errors import EchoIndexError, IndexMismatch, IndexMissing

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from echo_index.embeddings.runtime.devices import DeviceChoice
    from echo_index.indexer.generations.snapshot import Snapshot
    from echo_index.indexer.vectors.faiss_index import IndexDevice
    from echo_index.retriever.search.retriever import Retriever

T = TypeVar("T")

OWN_MODEL = ""
"""The name, among those that may write answers, of the model that embeds."""


@dataclass(frozen=True)
class ServiceOptions:
    """What a person said about what is served; `llms` are further models that may write the answers."""

    index_dir: Path
    model: str | None = None
    device: DeviceChoice = "auto"
    index_device: IndexDevice = "auto"
    llms: tuple[str, ...] = ()


class IndexService:
    """What all visitors share. Thread-safe."""

    def __init__(self, options: ServiceOptions, *, notice: Callable[[str], None] = lambda line: None) -> None:
        self.options = options
        self._notice = notice
        self._retriever: Retriever | None = None
        self._writers: dict[str, BaseChatModel] = {}
        self._lock = Lock()
        self._ready = False

    @property
    def index_dir(self) -> Path:
        """The folder of the index, be there one or not."""
        return self.options.index_dir

    @property
    def ready(self) -> bool:
        """Whether the model is loaded, where there is an index that needs one."""
        return self._ready

    def warm(self) -> None:
        """Load the model before anybody asks."""
        try:
            self.with_retriever(lambda retriever: retriever.encoder.model.tokenizer.whole())
        except IndexMissing:
            pass  # there is nothing to search yet: the page says how to begin
        except EchoIndexError as error:
            self._notice(str(error))  # every question will be told the same
        self._ready = True

    def with_retriever(self, act: Callable[[Retriever], T]) -> T:
        """Return what `act` makes of the retriever of the newest index, also where it was rebuilt with another model.

        Raises:
            IndexMissing, IndexDamaged: there is no index that can be opened.
        """
        retriever = self._opened()
        try:
            retriever.current_snapshot()
            return act(retriever)
        except IndexMismatch:
            return act(self._opened(instead_of=retriever))

    def with_snapshot(self, act: Callable[[Snapshot], T]) -> T:
        """Return what `act` makes of the newest generation of the index; no model is loaded for it."""
        return self.with_retriever(lambda retriever: retriever.with_snapshot(act))

    def chat_model(self, name: str = OWN_MODEL) -> BaseChatModel:
        """Return the model that writes the answers: one of the names in the options, or the one that embeds.

        Raises:
            ModelError: it cannot be used, or is none of those that were configured.
        """
        if name == OWN_MODEL:
            return self.with_retriever(_own_writer)
        from echo_index.app.services.external_llm import open_llm
        from echo_index.errors import ModelError

        if name not in self.options.llms:
            raise ModelError(f"The model {name!r} is not one of those that were configured.")
        with self._lock:
            if name not in self._writers:
                self._writers[name] = open_llm(name)
            return self._writers[name]

    def _opened(self, *, instead_of: Retriever | None = None) -> Retriever:
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


def _own_writer(retriever: Retriever) -> BaseChatModel:
    from echo_index.retriever.rag.chat_model import EchoChatModel

    return EchoChatModel(language_model=retriever.encoder.model, max_tokens=DEFAULTS.answer_tokens)
