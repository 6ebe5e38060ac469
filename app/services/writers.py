"""Open the models that write answers: the model of the index, or another local one beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from echo_index.app.defaults import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from echo_index.embeddings.runtime.devices import DeviceChoice
    from echo_index.retriever.rag.chat_model import EchoChatModel
    from echo_index.retriever.search.retriever import Retriever


def installed_writers(*, besides: str = "") -> tuple[str, ...]:
    """Return the names of the installed models that are made for writing answers, except that of the index."""
    from echo_index.embeddings.models.bundled import EMBEDDED_MODELS, WRITER_MODEL

    return (WRITER_MODEL,) if besides != WRITER_MODEL and EMBEDDED_MODELS[WRITER_MODEL].is_installed() else ()


def own_writer(retriever: Retriever, *, with_adapter: bool = True) -> EchoChatModel:
    """Return the embedding model of a retriever as a writer, with its adapter for answers if there is one."""
    from echo_index.retriever.rag.chat_model import EchoChatModel

    return EchoChatModel(
        language_model=retriever.encoder.model,
        max_tokens=DEFAULTS.answer_tokens,
        answer_adapter="own" if with_adapter else None,
    )


def local_writer(
    name: str,
    *,
    with_adapter: bool = True,
    device: DeviceChoice = "auto",
    notice: Callable[[str], None] = lambda line: None,
) -> EchoChatModel:
    """Load a model that `--model` takes as a writer: a large one in int8, a small one shared with the encoder.

    It writes with its adapter for answers if there is one: that in the folder `name`, or the bundled one.

    Raises:
        ModelError: the model or its adapter does not exist, cannot be read or does not fit.
        MissingPackage: a package that the model needs is not installed.
        DeviceError: the device does not exist.
    """
    from echo_index.embeddings.models.language_model import load_writer, only_answer_adapter
    from echo_index.retriever.rag.chat_model import EchoChatModel

    model = load_writer(name, device=device, notice=notice)
    folder = only_answer_adapter(name)
    adapter = ("own" if folder is None else str(folder)) if with_adapter else None
    writer = EchoChatModel(language_model=model, max_tokens=DEFAULTS.answer_tokens, answer_adapter=adapter)
    writer.load_answering()  # raises now if the adapter does not fit
    return writer
