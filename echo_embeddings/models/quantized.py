"""Convert large models that only write text to int8, once, in the cache."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from shutil import copyfile

from echo_index.embeddings.decoder.config import read_decoder_config
from echo_index.embeddings.decoder.int8_parameters import is_quantized_model, quantize_model
from echo_index.embeddings.decoder.precision_check import sample_texts
from echo_index.embeddings.decoder.weights import map_tensors, validate_tensors
from echo_index.embeddings.models.bundled import EMBEDDED_MODELS
from echo_index.embeddings.models.gguf import Notice, converted_folder, reading_gguf, save_config, write_source
from echo_index.embeddings.models.gguf_tensors import GgufTensors
from echo_index.embeddings.models.resolve import find_model
from echo_index.embeddings.runtime.cache import build_once, cache_key, sha256_of
from echo_index.embeddings.runtime.executor import run_in_new_thread
from echo_index.embeddings.text.tokenizer import ModelTokenizer

_LARGE_BYTES = 500_000_000  # of the files of a model; smaller ones are as fast in float32, shared with the encoder
_CONFIG_FILES = ("*.json", "*.jinja", "*.txt", "*.model")


def quantized_folder(name: str, *, notice: Notice) -> Path | None:
    """Return the folder of a large model in int8, which is made at the first call.

    None for a model that is to be loaded as it is: a small one, or one that only transformers can run.

    Args:
        name: Name of an embedded model, folder, GGUF file or hub id.
        notice: Called with a line of text before work that takes long.

    Raises:
        ModelError: there is no such model, or it cannot be read.
        MissingPackage: a package that the model needs is not installed.
    """
    path = Path(name).expanduser()
    if embedded := EMBEDDED_MODELS.get(name):
        make = partial(_quantize_gguf, embedded.assemble, f"{name}.gguf")
        return _folder(name, embedded.sha256, embedded.size(), make, notice)
    if path.is_file() and path.suffix.lower() == ".gguf":
        make = partial(_quantize_gguf, lambda target: target.symlink_to(path.resolve()), path.name)
        return _folder(path.stem, sha256_of(path), path.stat().st_size, make, notice)
    source = find_model(name, notice=notice)
    files = sorted(source.glob("*.safetensors"))
    sha256 = cache_key(*map(sha256_of, (*files, source / "config.json")))
    return _folder(source.name, sha256, sum(file.stat().st_size for file in files), partial(_quantize, source), notice)


def _folder(name: str, sha256: str, size: int, make: Callable[[Path], None], notice: Notice) -> Path | None:
    if size < _LARGE_BYTES:
        return None

    def make_with_notice(folder: Path) -> None:
        notice(f"Converting {name} to int8: once, a few minutes.")
        run_in_new_thread(partial(make, folder))
        write_source(folder, name, f"{sha256}-int8")

    folder = build_once(converted_folder(f"{name}-int8", sha256), make_with_notice)
    return folder if is_quantized_model(folder) else None


def _quantize_gguf(provide: Callable[[Path], object], file_name: str, folder: Path) -> None:
    """Quantize the GGUF file that `provide` writes to a path."""
    gguf = folder / file_name
    provide(gguf)
    save_config(gguf, folder)
    config = read_decoder_config(folder)
    if config is not None:
        with reading_gguf(gguf):
            quantize_model(GgufTensors(gguf, config), config, _sample_tokens(folder), folder)
    gguf.unlink()


def _quantize(source: Path, folder: Path) -> None:
    """Quantize a model in a folder of safetensors."""
    for pattern in _CONFIG_FILES:
        for file in source.glob(pattern):
            copyfile(file, folder / file.name)
    config, tensors = read_decoder_config(folder), map_tensors(source)
    if config is not None and tensors:
        validate_tensors(tensors, config, folder=source)
        quantize_model(tensors, config, _sample_tokens(folder), folder)


def _sample_tokens(folder: Path) -> list[list[int]]:
    tokenizer = ModelTokenizer.load(folder)
    bos = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
    return [[*bos, *tokenizer.encode(text)] for text in sample_texts()]
