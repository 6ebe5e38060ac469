"""Open the models that write answers: the model of the index, or another local one beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from echo_index.app.defaults import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from echo_index.embeddings.runtime.devices import DeviceChoice
    from echo_index.retriever.rag.chat_model import EchoChatModel
    from echo_index.retriever.search.retriever import Retriever


def own_writer(retriever: Retriever) -> EchoChatModel:
    """Return the embedding model of a retriever as a writer."""
    from echo_index.retriever.rag.chat_model import EchoChatModel

    return EchoChatModel(language_model=retriever.encoder.model, max_tokens=DEFAULTS.answer_tokens)


def local_writer(
    name: str, *, device: DeviceChoice = "auto", notice: Callable[[str], None] = lambda line: None
) -> EchoChatModel:
    """Load a model that `--model` takes as a writer: a large one in int8, a small one shared with the encoder.

    Raises:
        ModelError: the model does not exist or cannot be read.
        MissingPackage: a package that the model needs is not installed.
        DeviceError: the device does not exist.
    """
    from echo_index.embeddings.models.language_model import load_writer
    from echo_index.retriever.rag.chat_model import EchoChatModel

    model = load_writer(name, device=device, notice=notice)
    return EchoChatModel(language_model=model, max_tokens=DEFAULTS.answer_tokens)
