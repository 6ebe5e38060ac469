"""The model that is tuned: token sequences to vectors, with gradients for its low-rank additions. Knows no texts."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from torch import nn

from echo_index.embeddings.decoder.linear import bfloat16_is_fast
from echo_index.embeddings.decoder.packing import Packing, rows_of_spans
from echo_index.embeddings.decoder.transformers_backend import TransformersBackend, find_blocks
from echo_index.embeddings.models.lora import is_plain_lora, write_encoder_settings
from echo_index.embeddings.text.batching import batches_by_length
from echo_index.embeddings.training.lora_decoder import LoraDecoder, LoraDelta
from echo_index.embeddings.vectors.pooling import pool
from echo_index.errors import MissingPackage, ModelError

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.embeddings.text.prompt_tokens import EchoTokens

_PASS_TOKENS = {"cpu": 2048, "cuda": 16384}


class TrainableEncoder:
    """What an encoder computes, with additions of `rank` to all matrices of its layers from `first_layer` on.

    They begin at nothing (LoRA, arXiv 2106.09685) and count `alpha / rank` times. Where the encoder's model has an
    adapter, what is trained is its additions instead, from what they are. On a CPU the layers are our own where they
    know the model, in bfloat16 where the processor multiplies it natively; else those of transformers.

    Raises:
        MissingPackage: peft is not installed.
        ModelError: the adapter is more than additions that can be trained, or no layer from `first_layer` on is read.
    """

    def __init__(self, encoder: EchoEncoder, rank: int, alpha: float, first_layer: int = 1, seed: int = 0) -> None:
        if find_spec("peft") is None:
            raise MissingPackage("Tuning needs the package peft.", remedy="Install it: pip install 'echo-index[tune]'")
        self._encoder = encoder
        self._views, self._pooling = encoder.views, encoder.pooling
        model = encoder.model
        if model.head is not None or (
            model.adapter is not None and model.uses_native_decoder and not is_plain_lora(model.adapter)
        ):
            raise ModelError(
                f"The adapter {model.adapter} is more than low-rank additions, which alone can be tuned further.",
                remedy="Begin with another one, or with the model alone: --no-adapter",
            )
        self._device = model.device.name
        if not 1 <= first_layer <= encoder.deepest_layer:
            raise ModelError(f"There is no layer from {first_layer} on to tune: {encoder.deepest_layer} are read.")
        writer = model.causal_lm
        # the weights are shared with whoever else holds the model: only the additions are new
        shared = copy.deepcopy(writer, memo={id(each): each for each in writer.parameters()})
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self._adapted = (
                _with_new_additions(shared, rank, alpha, range(first_layer - 1, encoder.deepest_layer))
                if model.adapter is None
                else _with_additions_of(shared, model.adapter)
            )
        self._adapted.peft_config["default"].base_model_name_or_path = model.name
        for unread in find_blocks(shared.base_model)[encoder.deepest_layer :]:
            unread.requires_grad_(False)
        self._parameters = [each for each in self._adapted.parameters() if each.requires_grad]
        self._ours: LoraDecoder | None = None
        if model.uses_native_decoder:
            assert model.decoder_config is not None
            self._ours = LoraDecoder(
                (model.without_adapter or model).weights(),
                model.decoder_config,
                dict(_additions(self._adapted)),
                deepest=encoder.deepest_layer,
                dtype=torch.bfloat16 if bfloat16_is_fast() else torch.float32,
            )
        else:
            self._padded = TransformersBackend(self._adapted.get_base_model().base_model, device=self._device)

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return self._encoder.dimension

    @property
    def device(self) -> str:
        """Where the passes run."""
        return self._device

    @property
    def parameters(self) -> list[nn.Parameter]:
        """What is trained, in an order that is always the same."""
        return self._parameters

    def on_step(self) -> None:
        """Take over what the parameters are now: due whenever they were changed."""
        if self._ours is not None:
            self._ours.merge_lora()

    def passes(self, sequences: Sequence[EchoTokens]) -> Iterator[list[int]]:
        """Yield which sequences go through the model together."""
        lengths = [len(tokens) for tokens in sequences]
        yield from batches_by_length(lengths, token_budget=_PASS_TOKENS[self._device])

    def embed(self, batch: Sequence[EchoTokens]) -> torch.Tensor:
        """Return unit vectors, float32 (len(batch), dimension), in one pass."""
        layers = {view.layer for view in self._views}
        states = self._packed(batch, layers) if self._ours is not None else self._padded_states(batch, layers)
        total = torch.zeros(())
        for view, found in zip(self._views, states, strict=True):
            lengths = [end - start for start, end in (tokens.span(view.text_pass) for tokens in batch)]
            total = total + view.weight * pool(found, lengths, self._pooling)
        return F.normalize(total, dim=-1)

    def save(self, folder: Path) -> None:
        """Write the additions as they are now, as peft writes an adapter, and with what prompts and views they go."""
        self._adapted.save_pretrained(str(folder), save_embedding_layers=False)
        write_encoder_settings(folder, self._encoder.config())

    def _packed(self, batch: Sequence[EchoTokens], layers: set[int]) -> list[torch.Tensor]:
        assert self._ours is not None
        shared = batch[0].ids[: batch[0].fixed]
        if any(tokens.ids[: len(shared)] != shared for tokens in batch):
            shared = ()
        prefix = len(shared)
        lengths = [len(tokens) - prefix for tokens in batch]
        rows: dict[int, list[torch.Tensor]] = {layer: [] for layer in layers}
        for view in self._views:
            spans = [tokens.span(view.text_pass) for tokens in batch]
            rows[view.layer].append(rows_of_spans(lengths, spans, prefix=prefix))
        found = self._ours.forward(
            torch.tensor([*shared, *(token for tokens in batch for token in tokens.ids[prefix:])]),
            Packing.of(lengths, prefix=prefix),
            rows={layer: torch.cat(wanted) for layer, wanted in rows.items()},
        )
        parts = {layer: iter(found[layer].split([*map(len, wanted)])) for layer, wanted in rows.items()}
        return [next(parts[view.layer]) for view in self._views]

    def _padded_states(self, batch: Sequence[EchoTokens], layers: set[int]) -> list[torch.Tensor]:
        found = self._padded.padded_states([tokens.ids for tokens in batch], layers)
        return [
            torch.cat([found[view.layer][row, slice(*tokens.span(view.text_pass))] for row, tokens in enumerate(batch)])
            for view in self._views
        ]


def _with_new_additions(model: PreTrainedModel, rank: int, alpha: float, layers: range) -> PeftModel:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=_matrices(model, layers))
    return cast("PeftModel", get_peft_model(model, config))


def _with_additions_of(model: PreTrainedModel, adapter: Path) -> PeftModel:
    from peft import PeftModel

    return PeftModel.from_pretrained(model, str(adapter), is_trainable=True)


def _matrices(model: PreTrainedModel, layers: range) -> list[str]:
    """Return the names of all matrices of these layers, counted from 0."""
    from transformers.pytorch_utils import Conv1D

    blocks = find_blocks(model.base_model)
    wanted = {
        id(module)
        for number in layers
        for module in blocks[number].modules()
        if isinstance(module, (nn.Linear, Conv1D))
    }
    return [name for name, module in model.named_modules() if id(module) in wanted]


def _additions(adapted: nn.Module) -> Iterator[tuple[int, dict[str, LoraDelta]]]:
    """Yield each layer that has additions, counted from 0, and these."""
    from peft.tuners.lora import LoraLayer

    by_layer: dict[int, dict[str, LoraDelta]] = {}
    for name, module in adapted.named_modules():
        if isinstance(module, LoraLayer):
            *_, number, part, matrix = name.split(".")
            [key] = module.lora_A
            by_layer.setdefault(int(number), {})[f"{part}.{matrix}"] = LoraDelta(
                down=cast("Any", module.lora_A[key]).weight,
                up=cast("Any", module.lora_B[key]).weight,
                scale=float(module.scaling[key]),
            )
    yield from by_layer.items()
