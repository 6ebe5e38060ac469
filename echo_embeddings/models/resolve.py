"""Resolve the name of a model to a folder with its files; convert or download them if necessary."""

from __future__ import annotations

from pathlib import Path

from echo_index.embeddings.models.bundled import DEFAULT_MODEL, EMBEDDED_MODELS
from echo_index.embeddings.models.gguf import Notice, convert_embedded, convert_gguf
from echo_index.errors import ModelError

_HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]


def find_model(name: str, *, notice: Notice) -> Path:
    """Return the folder of a model by the name of an embedded model, a folder, a GGUF file or a hub id.

    A GGUF file is converted once, a model from the hub is downloaded once.

    Raises:
        ModelError: there is no such model.
        MissingPackage: a package that the model needs is not installed.
    """
    if name in EMBEDDED_MODELS:
        return convert_embedded(EMBEDDED_MODELS[name], notice=notice)
    if not name.strip():
        raise ModelError("The name of the model is empty.", remedy=f"Use an embedded model: --model {DEFAULT_MODEL}.")
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").exists():
            raise ModelError(f"The folder {name} contains no model: config.json is missing.")
        return path
    if path.is_file():
        if path.suffix.lower() != ".gguf":
            raise ModelError(f"The file {name} is not a model.", remedy="Name a folder or a .gguf file.")
        return convert_gguf(path, notice=notice)
    return _download(name)


def _download(name: str) -> Path:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    embedded = ", ".join(EMBEDDED_MODELS)
    try:
        return Path(snapshot_download(name, allow_patterns=_HUB_FILES, etag_timeout=5))
    except HFValidationError:
        raise ModelError(
            f"There is no model {name!r}: it is neither a file or folder here nor the id of a model on the hub.",
            remedy=f"The embedded models are: {embedded}.",
        ) from None
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise ModelError(
            f"The model {name!r} is not in the cache {constants.HF_HUB_CACHE} and cannot be fetched from the hub "
            f"({type(error).__name__}).",
            remedy=f"Check the name and the connection, or use an embedded model: --model {DEFAULT_MODEL}.",
        ) from None


def full_name(name: str) -> str:
    """Return the absolute path of a local model, so that it is found from any folder; any other name is unchanged."""
    path = Path(name).expanduser()
    return str(path.resolve()) if name not in EMBEDDED_MODELS and path.exists() else name
