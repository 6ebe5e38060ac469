"""Find models by their names, load them, and share those that are in use."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Literal
from weakref import WeakValueDictionary

from echo_index.embeddings.models.bundled import DEFAULT_MODEL, bundled_adapter, bundled_answer_adapter
from echo_index.embeddings.models.gguf import Notice
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.lora import base_model_name, is_adapter, is_answer_adapter
from echo_index.embeddings.models.profiles import profile_for
from echo_index.embeddings.models.quantized import quantized_folder
from echo_index.embeddings.models.resolve import find_model, full_name
from echo_index.embeddings.models.weights_hash import file_states
from echo_index.embeddings.runtime.devices import DeviceChoice, choose_device

_LOADED: WeakValueDictionary[tuple[object, ...], LanguageModel] = WeakValueDictionary()
_LOADING = Lock()


def load_model(
    name: str = DEFAULT_MODEL,
    *,
    adapter: Path | Literal["own"] | None = None,
    device: DeviceChoice = "auto",
    notice: Notice = lambda line: None,
) -> LanguageModel:
    """Load a model by the name of an embedded model, a folder, a GGUF file or a hub id.

    A model that is still in use is not loaded again but shared, as long as its files are the same; models with
    different adapters share the weights of their base model.

    Args:
        name: The model. A folder that contains only an adapter means the base model of that adapter with the adapter.
        adapter: Folder of an adapter, or "own" for the one that echo-index bundles for this model, if there is one.
        device: Device for the model.
        notice: Called with a line of text if the first load takes long.

    Raises:
        ModelError: the model does not exist or cannot be read.
        MissingPackage: a package that the model needs is not installed.
        DeviceError: the device does not exist.
    """
    chosen_device = choose_device(device)
    if adapter == "own":
        adapter = bundled_adapter(name)
    if adapter is None and (only_adapter := _only_adapter(name)):
        adapter, name = only_adapter, base_model_name(only_adapter)
    folder = find_model(name, notice=notice)
    key: tuple[object, ...] = (full_name(name), file_states(folder), chosen_device)
    with _LOADING:
        base = _LOADED.get(key)
        if base is None:
            base = LanguageModel.read(full_name(name), folder, profile=profile_for(name), device=chosen_device)
            _LOADED[key] = base
        if adapter is None:
            return base
        key = (*key, file_states(adapter))
        adapted = _LOADED.get(key)
        if adapted is None:
            adapted = _LOADED[key] = base.adapted(adapter)
        return adapted


def load_writer(
    name: str = DEFAULT_MODEL, *, device: DeviceChoice = "auto", notice: Notice = lambda line: None
) -> LanguageModel:
    """Load a model that only writes text.

    On a CPU, a large model of an architecture that the native decoder runs is converted to int8 at the first call: it
    takes a quarter of the memory of float32. Any other model is loaded, and shared, as by `load_model`.

    Raises:
        ModelError, MissingPackage, DeviceError: as in `load_model`.
    """
    chosen_device = choose_device(device)
    if only_adapter := _only_adapter(name):  # `with_answer_adapter` adds it if it is one for answers
        name = base_model_name(only_adapter)
    folder = quantized_folder(name, notice=notice) if chosen_device.name == "cpu" else None
    if folder is None:
        return load_model(name, device=device, notice=notice)
    key: tuple[object, ...] = (full_name(name), file_states(folder), chosen_device)
    with _LOADING:
        model = _LOADED.get(key)
        if model is None:
            model = _LOADED[key] = LanguageModel.read_quantized(
                full_name(name), folder, profile=profile_for(name), device=chosen_device
            )
        return model


def with_answer_adapter(model: LanguageModel, adapter: Path | Literal["own"] = "own") -> LanguageModel | None:
    """Return a model that shares the weights of `model` and writes answers with an adapter that is trained for them.

    None if "own" is wanted and echo-index bundles no such adapter for the model.

    Raises:
        ModelError: the adapter cannot be read, is not one for answers, or does not fit the model.
    """
    base = model.without_adapter or model
    folder = bundled_answer_adapter(base.name) if adapter == "own" else adapter
    return None if folder is None else base.answering(folder)


def only_answer_adapter(name: str) -> Path | None:
    """Return the folder if a name is that of a folder with an adapter for answers and no model.

    Raises:
        ModelError: the adapter is trained for another prompt.
    """
    folder = _only_adapter(name)
    return folder if folder is not None and is_answer_adapter(folder) else None


def _only_adapter(name: str) -> Path | None:
    """Return the folder if a name is that of a folder with an adapter and no model."""
    path = Path(name).expanduser()
    return path if is_adapter(path) and not (path / "config.json").exists() else None
