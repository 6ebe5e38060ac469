"""Identify the weights of a model and its adapter by a hash, without loading them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from echo_index.embeddings.models.gguf import SOURCE_FILE
from echo_index.embeddings.models.linear_head import HEAD_FILE
from echo_index.embeddings.runtime.cache import sha256_of
from echo_index.errors import ModelError

CONFIG_FILE = "adapter_config.json"
"""The file of an adapter in which peft stores its settings."""
_ORIGIN = {"base_model_name_or_path", "peft_version", "revision"}  # keys of the config that change no vector


def hash_weights(folder: Path, adapter: Path | None) -> str:
    """Return the SHA-256 of the weights and the tokenizer in a folder, and of an adapter, in hexadecimal.

    Raises:
        ModelError: the config of the adapter is not valid JSON.
    """
    digest = hashlib.sha256()
    source = folder / SOURCE_FILE
    if source.exists():
        digest.update(json.loads(source.read_text(encoding="utf-8"))["sha256"].encode())
    else:
        for path in sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin")):
            digest.update(sha256_of(path).encode())
        for path in sorted(folder.glob("tokenizer*.json")):
            digest.update(sha256_of(path).encode())
    if adapter is not None:
        digest.update(_adapter_digest(adapter))
    return digest.hexdigest()


def _adapter_digest(adapter: Path) -> bytes:
    """Return bytes that identify the weights of an adapter and their scale."""
    hashes = [sha256_of(path) for path in sorted([*adapter.glob("adapter_model.*"), *adapter.glob(HEAD_FILE)])]
    settings = {name: value for name, value in read_adapter_config(adapter).items() if name not in _ORIGIN}
    return ("".join(hashes) + json.dumps(settings, sort_keys=True)).encode()


def read_adapter_config(adapter: Path) -> dict[str, object]:
    """Return the settings of peft in the folder of an adapter; {} if there are none.

    Raises:
        ModelError: the file is not valid JSON.
    """
    return read_json(adapter / CONFIG_FILE)


def read_json(path: Path) -> dict[str, object]:
    """Return the object in a JSON file; {} if there is no file, or something else in it.

    Raises:
        ModelError: the file is not valid JSON.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        raise ModelError(f"The file {path} is not valid JSON: {error}.") from None
    return content if isinstance(content, dict) else {}


def file_states(folder: Path) -> tuple[object, ...]:
    """Return the names, sizes and modification times of the files in a folder."""
    files = sorted(path for path in folder.glob("*") if path.is_file())
    return (folder.resolve(), *((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files))
