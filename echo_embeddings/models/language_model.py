"""A language model with its tokenizer, weights, adapter and profile, which embeds and writes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import nn

from echo_index.embeddings.decoder.activation_observer import cached_smoothing, measure_smoothing
from echo_index.embeddings.decoder.config import DecoderConfig, read_decoder_config
from echo_index.embeddings.decoder.decoder import Decoder
from echo_index.embeddings.decoder.int8_layers import read_int8_layers
from echo_index.embeddings.decoder.int8_parameters import Int8Parameters
from echo_index.embeddings.decoder.linear import Precision, attention_dtype, linear
from echo_index.embeddings.decoder.lora_delta import layer_factors
from echo_index.embeddings.decoder.lora_parameters import LoraParameters
from echo_index.embeddings.decoder.parameters import TensorParameters
from echo_index.embeddings.decoder.precision_check import sample_texts
from echo_index.embeddings.decoder.prompt_cache import PromptCache
from echo_index.embeddings.decoder.smoothquant import Smoothing
from echo_index.embeddings.decoder.weights import Tensors, map_tensors, validate_tensors
from echo_index.embeddings.models.bundled import bundled_adapter
from echo_index.embeddings.models.linear_head import LinearHead, is_linear_head
from echo_index.embeddings.models.lora import (
    adapted_tensors,
    deltas_by_layer,
    is_answer_adapter,
    profile_with_adapter,
    read_deltas,
    refusal_bias,
    with_adapter,
)
from echo_index.embeddings.models.profiles import Profile
from echo_index.embeddings.models.transformers_model import load_causal_lm, unreadable_model
from echo_index.embeddings.models.weights_hash import file_states, hash_weights
from echo_index.embeddings.runtime.devices import Device
from echo_index.embeddings.runtime.executor import run_on_executor
from echo_index.embeddings.text.tokenizer import ModelTokenizer
from echo_index.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A loaded causal language model. It embeds and generates text with the same weights in memory."""

    name: str
    folder: Path
    profile: Profile
    tokenizer: ModelTokenizer
    decoder_config: DecoderConfig | None
    """None for an architecture that only transformers can run."""
    adapter: Path | None
    weights_hash: str
    """SHA-256 of the weights, including the adapter's, in hexadecimal."""
    device: Device
    head: LinearHead | None = None
    """Maps the layer views of a text to its embedding; None if the views are added instead."""
    without_adapter: LanguageModel | None = None
    """The same model without the adapter, with shared weights; None if there is no adapter."""
    generation_adapter: Path | None = None
    """An adapter that generates text; `adapter` is one that embeds. Never both."""
    is_quantized: bool = False
    """The folder has the int8 weights that `quantize_model` wrote: they generate text, but there are none to embed."""
    _tensors: Tensors = field(default_factory=dict, repr=False)
    """Memory-mapped when the model is loaded; empty if only transformers can read the weights."""
    _built: dict[object, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, name: str, folder: Path, *, profile: Profile, device: Device) -> LanguageModel:
        """Read the model in a folder; its weights are mapped, or loaded now if only transformers can read them.

        Raises:
            ModelError: it cannot be read.
        """
        try:
            config = read_decoder_config(folder)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise unreadable_model(folder, error) from None
        tensors = {} if config is None else map_tensors(folder)
        if config is not None and tensors:
            validate_tensors(tensors, config, folder=folder)
        model = cls(
            name=name,
            folder=folder,
            profile=profile,
            tokenizer=ModelTokenizer.load(folder),
            decoder_config=config,
            adapter=None,
            weights_hash=hash_weights(folder, None),
            device=device,
            _tensors=tensors,
        )
        if not tensors:
            model.causal_lm  # noqa: B018 - raises now if the weights cannot be loaded
        return model

    @classmethod
    def read_quantized(cls, name: str, folder: Path, *, profile: Profile, device: Device) -> LanguageModel:
        """Read a model that `quantize_model` has written into a folder."""
        return cls(
            name=name,
            folder=folder,
            profile=profile,
            tokenizer=ModelTokenizer.load(folder),
            decoder_config=read_decoder_config(folder),
            adapter=None,
            weights_hash=hash_weights(folder, None),
            device=device,
            is_quantized=True,
        )

    def adapted(self, adapter: Path) -> LanguageModel:
        """Return this model with an adapter that embeds; what the adapter leaves unchanged is shared.

        Raises:
            ModelError: the adapter cannot be read, or does not fit.
        """
        tensors = adapted_tensors(adapter, self.weights()) if self.embeds_natively else None
        model = replace(
            self,
            profile=profile_with_adapter(adapter, self.profile),
            adapter=adapter.resolve(),
            weights_hash=hash_weights(self.folder, adapter),
            head=LinearHead.load(adapter, dimension=self.dimension) if is_linear_head(adapter) else None,
            without_adapter=self,
            _tensors=tensors or {},
            _built={},
        )
        if tensors is None:
            model.base_model  # noqa: B018 - raises now if the adapter does not fit
        return model

    def answering(self, adapter: Path) -> LanguageModel:
        """Return this model with an adapter that is trained for answers, built once; all weights are shared.

        Raises:
            ModelError: the adapter cannot be read, is not one for answers, or does not fit.
        """
        if not is_answer_adapter(adapter):
            raise ModelError(
                f"The adapter {adapter} is not one for answers.", remedy="Train one: echo-index tune-answers"
            )
        if self.is_quantized:
            raise ModelError(f"The adapter {adapter} needs a model in float32; {self.name} is converted to int8.")

        def load() -> LanguageModel:
            answering = replace(
                self,
                profile=replace(self.profile, writes="completion", refusal_bias=refusal_bias(adapter)),
                generation_adapter=adapter.resolve(),
                weights_hash=hash_weights(self.folder, adapter),
                without_adapter=self,
                _built={},
            )
            # raises now if the adapter does not fit
            answering.generation_decoder if self.uses_native_decoder else answering.causal_lm  # noqa: B018
            return answering

        return cast("LanguageModel", self._build_once(("answers", file_states(adapter)), load))

    @property
    def uses_native_decoder(self) -> bool:
        """Whether `Decoder` runs the model; otherwise transformers does."""
        return self.decoder_config is not None and self.device.name == "cpu"

    @property
    def embeds_natively(self) -> bool:
        """Whether `Decoder` embeds with the model, on a CPU or on a GPU, where transformers generates text."""
        return self.decoder_config is not None

    @property
    def depth(self) -> int:
        """The number of layers."""
        return self.decoder_config.depth if self.decoder_config else int(self._config.num_hidden_layers)

    @property
    def adapter_name(self) -> str | None:
        """The adapter as `load_model` names it: "own" for the bundled one, else a path; None without an adapter."""
        if self.adapter is None:
            return None
        bundled = bundled_adapter(self.name)
        return "own" if bundled is not None and self.adapter == bundled.resolve() else str(self.adapter)

    @property
    def dimension(self) -> int:
        """The dimension of hidden states."""
        return self.decoder_config.hidden_size if self.decoder_config else int(self._config.hidden_size)

    @property
    def causal_lm(self) -> PreTrainedModel:
        """The transformers model, without an adapter that embeds, loaded at first use."""
        if self.generation_adapter is None and self.without_adapter is not None:
            return self.without_adapter.causal_lm
        return cast("PreTrainedModel", self._build_once("causal_lm", self._build_causal_lm))

    @property
    def base_model(self) -> PreTrainedModel:
        """The transformers model without its language-modeling head, with the adapter merged."""
        adapter = self.adapter
        if adapter is None:
            return cast("PreTrainedModel", self.causal_lm.base_model)
        return cast(
            "PreTrainedModel",
            self._build_once("base_model", lambda: with_adapter(self.causal_lm, adapter).base_model),
        )

    def base_model_in(self, dtype: torch.dtype) -> PreTrainedModel:
        """Return `base_model` in float32, or a copy of it in another dtype."""
        if dtype is torch.float32:
            return self.base_model

        def convert() -> nn.Module:
            copied: nn.Module = copy.deepcopy(self.base_model)
            return copied.to(dtype)

        return cast("PreTrainedModel", self._build_once(("base_model", dtype), convert))

    def decoder(self, precision: Precision) -> Decoder:
        """Return the decoder for embedding, with the adapter merged; it is built once for each precision."""
        return cast("Decoder", self._build_once(precision, lambda: self._build_decoder(precision)))

    @property
    def generation_decoder(self) -> Decoder:
        """The decoder for text generation, without an adapter that embeds: int8 if the weights are, else float32."""
        if self.generation_adapter is not None:
            return cast("Decoder", self._build_once("generation", self._build_adapted_decoder))
        return (self.without_adapter or self).decoder(Precision.INT8 if self.is_quantized else Precision.FP32)

    @property
    def prompt_cache(self) -> PromptCache:
        """The keys and values of recent prompts of `generation_decoder`."""
        owner = self if self.generation_adapter is not None else self.without_adapter or self
        return cast("PromptCache", owner._build_once("prompt_cache", PromptCache))

    @property
    def generation_mode(self) -> Literal["completion", "chat"]:
        """The prompt format for generation: as the profile says, else "chat" if the model has a chat template."""
        return self.profile.writes or ("completion" if self.chat_template is None else "chat")

    @property
    def context(self) -> int:
        """The maximum number of tokens of a prompt and its continuation together."""
        positions = (
            self.decoder_config.positions
            if self.decoder_config
            else getattr(self._config, "max_position_embeddings", None)
        )
        return self.profile.context if positions is None else min(self.profile.context, positions)

    @property
    def chat_template(self) -> str | None:
        """The chat template of the model, or None if it has none."""
        for name, key in (("chat_template.jinja", None), ("tokenizer_config.json", "chat_template")):
            path = self.folder / name
            if path.exists():
                text = path.read_text(encoding="utf-8")
                template = text if key is None else json.loads(text).get(key)
                if isinstance(template, str):
                    return template
        return None

    @property
    def end_ids(self) -> frozenset[int]:
        """The tokens that end generated text."""
        path = self.folder / "generation_config.json"
        configured = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id") if path.exists() else None
        ends = configured if isinstance(configured, list) else [configured]
        return frozenset(end for end in (*ends, self.tokenizer.end_id) if end is not None)

    @property
    def _config(self) -> Any:
        return self.causal_lm.config.get_text_config()

    def _build_decoder(self, precision: Precision) -> Decoder:
        assert self.decoder_config is not None
        if self.is_quantized:
            return Decoder(
                Int8Parameters(self.folder, self.decoder_config), attention_dtype=attention_dtype(Precision.INT8)
            )
        tensors, config = self.weights(), self.decoder_config
        is_int8 = precision is Precision.INT8
        parameters = TensorParameters(
            tensors,
            config,
            partial(linear, precision=precision),
            smoothing=self.smoothing() if is_int8 else [],
            int8_layers=read_int8_layers(self.weights_hash) if is_int8 else None,
            device=self.device.name,
        )
        return Decoder(parameters, attention_dtype=attention_dtype(precision, device=self.device.name))

    def smoothing(self) -> list[Smoothing]:
        """Return the scales with which the layers are smoothed before they are quantized to int8."""
        assert self.decoder_config is not None
        tensors, config = self.weights(), self.decoder_config
        bos = [] if self.tokenizer.bos_id is None else [self.tokenizer.bos_id]
        return cached_smoothing(
            self.weights_hash,
            lambda: measure_smoothing(
                tensors, config, [[*bos, *self.tokenizer.encode(text)] for text in sample_texts()]
            ),
        )

    def _build_adapted_decoder(self) -> Decoder:
        base, adapter = self.without_adapter, self.generation_adapter
        assert base is not None and adapter is not None and self.decoder_config is not None
        tensors, config = base.weights(), self.decoder_config
        deltas = read_deltas(adapter, tensors)
        if deltas is None:
            raise ModelError(f"The adapter {adapter} has more than low-rank matrices, which cannot generate text here.")
        factors = {
            number: layer_factors(changed, tensors, config, number)
            for number, changed in deltas_by_layer(deltas).items()
        }
        return Decoder(LoraParameters(base.generation_decoder.parameters, factors))

    def _build_causal_lm(self) -> PreTrainedModel:
        if self.generation_adapter is None or self.without_adapter is None:
            return load_causal_lm(self.folder, device=self.device)
        return with_adapter(self.without_adapter.causal_lm, self.generation_adapter)

    def weights(self) -> Tensors:
        """Return the tensors of the layers, with the adapter merged, by the names that `layer_weights` uses."""
        if self._tensors:
            return self._tensors
        # weights that only transformers can read or that peft merged an adapter into
        return {
            name.removeprefix("model."): tensor
            for module in (self.causal_lm, self.base_model)
            for name, tensor in module.state_dict().items()
        }

    def _build_once(self, name: object, build: Callable[[], object]) -> object:
        def build_first() -> None:
            if name not in self._built:  # another thread may have been first
                self._built[name] = build()

        if name not in self._built:
            run_on_executor(build_first)
        return self._built[name]
