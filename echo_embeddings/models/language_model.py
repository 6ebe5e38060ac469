"""A model's name to its vocabulary, weights and profile, shared by all who hold it. Knows no texts."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, cast
from weakref import WeakValueDictionary

import torch
from safetensors import SafetensorError
from torch import nn

from echo_index.embeddings.decoder.activation_observer import cached_smoothing, measure_smoothing
from echo_index.embeddings.decoder.config import DecoderConfig, read_decoder_config
from echo_index.embeddings.decoder.decoder import Decoder
from echo_index.embeddings.decoder.linear import Precision, linear
from echo_index.embeddings.decoder.precision_check import sample_texts
from echo_index.embeddings.decoder.smoothquant import Smoothing
from echo_index.embeddings.decoder.weights import Tensors, check_tensors, map_tensors
from echo_index.embeddings.models.bundled import DEFAULT_MODEL, bundled_adapter
from echo_index.embeddings.models.gguf import SOURCE_FILE, Notice
from echo_index.embeddings.models.linear_head import LinearHead, is_linear_head
from echo_index.embeddings.models.lora import (
    adapted_tensors,
    adapter_digest,
    base_model_name,
    is_adapter,
    profile_with_adapter,
    with_adapter,
)
from echo_index.embeddings.models.profiles import Profile, profile_for
from echo_index.embeddings.models.resolve import find_model, full_name
from echo_index.embeddings.runtime.cache import sha256_of
from echo_index.embeddings.runtime.devices import Device, DeviceChoice, choose_device
from echo_index.embeddings.runtime.executor import run_on_executor
from echo_index.embeddings.text.tokenizer import ModelTokenizer
from echo_index.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_LOADED: WeakValueDictionary[tuple[object, ...], LanguageModel] = WeakValueDictionary()
_LOADING = Lock()


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """One loaded causal language model; it embeds and it writes, from the same weights in memory."""

    name: str
    folder: Path
    profile: Profile
    tokenizer: ModelTokenizer
    decoder_config: DecoderConfig | None
    """What it is built like, None where only transformers knows."""
    adapter: Path | None
    weights_hash: str
    """SHA-256 over the weights, and the adapter's, in hexadecimal."""
    device: Device
    head: LinearHead | None = None
    """What makes an embedding of the views of a text; None where they are added up."""
    without_adapter: LanguageModel | None = None
    """The model without the adapter; this one shares its weights, and keeps them loaded for whoever asks for it."""
    _tensors: Tensors = field(default_factory=dict, repr=False)
    """Mapped when the model was loaded; empty where only transformers can read the weights."""
    _made: dict[object, Any] = field(default_factory=dict, repr=False)

    @property
    def uses_native_decoder(self) -> bool:
        """Whether Trunk runs it; what it does not run goes through transformers."""
        return self.decoder_config is not None and self.device.name == "cpu"

    @property
    def depth(self) -> int:
        """The number of layers."""
        return self.decoder_config.depth if self.decoder_config else int(self._config.num_hidden_layers)

    @property
    def adapter_name(self) -> str | None:
        """What `load_model` knows the adapter by: "own", or the folder's path; None where there is none."""
        own = bundled_adapter(self.name)
        if self.adapter is None or own is None or self.adapter != own.resolve():
            return None if self.adapter is None else str(self.adapter)
        return "own"

    @property
    def dimension(self) -> int:
        """The width of a hidden state."""
        return self.decoder_config.hidden_size if self.decoder_config else int(self._config.hidden_size)

    @property
    def causal_lm(self) -> PreTrainedModel:
        """The whole model as transformers has it, without any adapter; loaded when it is first asked for."""
        if self.without_adapter is not None:
            return self.without_adapter.causal_lm
        return cast("PreTrainedModel", self._once("writer", lambda: _load_weights(self.folder, device=self.device)))

    @property
    def base_model(self) -> PreTrainedModel:
        """The layers as transformers has them, without the language-model head; with the adapter merged in."""
        adapter = self.adapter
        if adapter is None:
            return cast("PreTrainedModel", self.causal_lm.base_model)
        return cast("PreTrainedModel", self._once("reader", lambda: with_adapter(self.causal_lm, adapter).base_model))

    def base_model_in(self, dtype: torch.dtype) -> PreTrainedModel:
        """Return the reader in a dtype: itself in float32, a copy in another."""
        if dtype is torch.float32:
            return self.base_model
        copied: Callable[[], nn.Module] = lambda: copy.deepcopy(self.base_model)  # noqa: E731
        return cast("PreTrainedModel", self._once(("reader", dtype), lambda: copied().to(dtype)))

    def decoder(self, precision: Precision) -> Decoder:
        """Return our layers with the weights for embedding, the adapter merged in; made once for each precision."""
        return cast("Decoder", self._once(precision, lambda: self._decoder(precision)))

    @property
    def generation_mode(self) -> Literal["completion", "chat"]:
        """How it is asked to write: as its profile says, else by its chat template where it has one."""
        return self.profile.writes or ("completion" if self.chat_template is None else "chat")

    @property
    def context(self) -> int:
        """The most tokens of a prompt and its continuation together."""
        positions = (
            self.decoder_config.positions
            if self.decoder_config
            else getattr(self._config, "max_position_embeddings", None)
        )
        return self.profile.context if positions is None else min(self.profile.context, positions)

    @property
    def chat_template(self) -> str | None:
        """The model's own chat template, or None."""
        for name, key in (("chat_template.jinja", None), ("tokenizer_config.json", "chat_template")):
            path = self.folder / name
            if path.exists():
                text = path.read_text(encoding="utf-8")
                found = text if key is None else json.loads(text).get(key)
                if isinstance(found, str):
                    return found
        return None

    @property
    def end_ids(self) -> frozenset[int]:
        """The tokens that end what the model writes."""
        path = self.folder / "generation_config.json"
        configured = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id") if path.exists() else None
        ends = configured if isinstance(configured, list) else [configured]
        return frozenset(end for end in (*ends, self.tokenizer.end_id) if end is not None)

    @property
    def _config(self) -> Any:
        return self.causal_lm.config.get_text_config()

    def _decoder(self, precision: Precision) -> Decoder:
        assert self.decoder_config is not None
        tensors, config = self.weights(), self.decoder_config
        smoothing: list[Smoothing] = []
        if precision is Precision.INT8:
            begin = [] if self.tokenizer.bos_id is None else [self.tokenizer.bos_id]
            smoothing = cached_smoothing(
                self.weights_hash,
                lambda: measure_smoothing(
                    tensors, config, [[*begin, *self.tokenizer.encode(text)] for text in sample_texts()]
                ),
            )
        return Decoder(tensors, config, partial(linear, precision=precision), smoothing=smoothing)

    def weights(self) -> Tensors:
        """Return the tensors of the layers by the names that `layer_weights` knows, an adapter merged in."""
        if self._tensors:
            return self._tensors
        # weights that stand in another kind of file, or that an adapter was merged into
        return {
            name.removeprefix("model."): tensor
            for module in (self.causal_lm, self.base_model)
            for name, tensor in module.state_dict().items()
        }

    def _once(self, name: object, make: Callable[[], object]) -> object:
        def make_first() -> None:
            if name not in self._made:
                self._made[name] = make()

        if name not in self._made:
            run_on_executor(make_first)
        return self._made[name]


def load_model(
    name: str = DEFAULT_MODEL,
    *,
    adapter: Path | Literal["own"] | None = None,
    device: DeviceChoice = "auto",
    notice: Notice = lambda line: None,
) -> LanguageModel:
    """Load a model by the name of an embedded one, a local folder, a GGUF file or a hub id.

    A folder that holds only an adapter means the adapter's base model with the adapter on top. The adapter "own" is the
    one that echo-index brings along for the model, if there is one.
    `notice` is told one line where the first start takes long. While somebody still holds the same model, from the
    same files, it is not loaded again but shared; so are the weights below several adapters.

    Raises:
        ModelError: there is no such model, or it cannot be read.
        MissingPackage: a package that it needs is not installed.
        DeviceError: the device is not there.
    """
    place = choose_device(device)
    if adapter == "own":
        adapter = bundled_adapter(name)
    local = Path(name).expanduser()
    if adapter is None and is_adapter(local) and not (local / "config.json").exists():
        adapter, name = local, base_model_name(local)
    folder = find_model(name, notice=notice)
    key: tuple[object, ...] = (full_name(name), _stamp(folder), place)
    with _LOADING:
        plain = _LOADED.get(key)
        if plain is None:
            plain = _LOADED[key] = _load_plain(name, folder, device=place)
        if adapter is None:
            return plain
        key = (*key, _stamp(adapter))
        adapted = _LOADED.get(key)
        if adapted is None:
            adapted = _LOADED[key] = _load_adapted(plain, adapter)
        return adapted


def _load_plain(name: str, folder: Path, *, device: Device) -> LanguageModel:
    try:
        config = read_decoder_config(folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"The model in {folder} cannot be loaded: {_first_line(error)}") from None
    tensors = {} if config is None or device.name != "cpu" else map_tensors(folder)
    if config is not None and tensors:
        check_tensors(tensors, config, folder=folder)
    model = LanguageModel(
        name=full_name(name),
        folder=folder,
        profile=profile_for(name),
        tokenizer=ModelTokenizer.load(folder),
        decoder_config=config,
        adapter=None,
        weights_hash=_hash_weights(folder, None),
        device=device,
        _tensors=tensors,
    )
    if not tensors:
        model.causal_lm  # noqa: B018 - what cannot be loaded is told now
    return model


def _load_adapted(plain: LanguageModel, adapter: Path) -> LanguageModel:
    tensors = adapted_tensors(adapter, plain.weights()) if plain.uses_native_decoder else None
    model = replace(
        plain,
        profile=profile_with_adapter(adapter, plain.profile),
        adapter=adapter.resolve(),
        weights_hash=_hash_weights(plain.folder, adapter),
        head=LinearHead.load(adapter, dimension=plain.dimension) if is_linear_head(adapter) else None,
        without_adapter=plain,
        _tensors=tensors or {},
        _made={},
    )
    if tensors is None:
        model.base_model  # noqa: B018 - an adapter that does not fit is told now
    return model


def _stamp(folder: Path) -> tuple[object, ...]:
    """Return what changes when a file in the folder does."""
    files = sorted(path for path in folder.glob("*") if path.is_file())
    return (folder.resolve(), *((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files))


def _load_weights(folder: Path, *, device: Device) -> PreTrainedModel:
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"The model in {folder} cannot be loaded: {_first_line(error)}") from None
    return cast("PreTrainedModel", model.requires_grad_(False).eval().to(device.name))  # type: ignore[no-untyped-call]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _hash_weights(folder: Path, adapter: Path | None) -> str:
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
        digest.update(adapter_digest(adapter))
    return digest.hexdigest()
