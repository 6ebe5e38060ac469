"""The encoder that is tuned: token sequences to vectors, with gradients for its LoRA parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from echo_index.embeddings.decoder.linear import bfloat16_is_fast
from echo_index.embeddings.decoder.packing import PackedBatch, SpansAt, split_by_request
from echo_index.embeddings.decoder.transformers_backend import TransformersBackend
from echo_index.embeddings.models.lora import is_plain_lora, write_encoder_settings
from echo_index.embeddings.text.batching import batches_by_length
from echo_index.embeddings.training.lora_decoder import LoraDecoder
from echo_index.embeddings.training.peft_adapter import trainable_adapter, trainable_deltas
from echo_index.embeddings.vectors.pooling import pool
from echo_index.errors import ModelError

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.embeddings.text.prompt_tokens import EchoTokens

_PASS_TOKENS = {"cpu": 2048, "cuda": 16384}


class TrainableEncoder:
    """An encoder with a LoRA adapter (arXiv 2106.09685) that can be trained.

    A new adapter has `rank` and `alpha`, is on all matrices of the layers from `first_layer` on, and begins as zero. If
    the model of the encoder has an adapter, training goes on from that one. On a CPU it runs on the native decoder
    where that knows the model, in bfloat16 if the processor multiplies it natively; otherwise on transformers.

    Raises:
        MissingPackage: peft is not installed.
        ModelError: the model's adapter is not plain LoRA, or no layer from `first_layer` on is in use.
    """

    def __init__(self, encoder: EchoEncoder, rank: int, alpha: float, first_layer: int = 1, seed: int = 0) -> None:
        self._encoder = encoder
        self._views, self._pooling = encoder.views, encoder.pooling
        model = encoder.model
        if model.head is not None or (
            model.adapter is not None and model.uses_native_decoder and not is_plain_lora(model.adapter)
        ):
            raise ModelError(
                f"The adapter {model.adapter} has more than low-rank matrices, and only these can be tuned further.",
                remedy="Begin with another adapter, or with the model alone: --no-adapter",
            )
        self._device = model.device.name
        deepest = encoder.deepest_layer
        if not 1 <= first_layer <= deepest:
            raise ModelError(
                f"No layer from {first_layer} on can be tuned: the encoder uses layers 1 to {deepest}.",
                remedy=f"Choose a first layer from 1 to {deepest}.",
            )
        self._adapted = trainable_adapter(
            model, model.adapter, rank=rank, alpha=alpha, layers=range(first_layer - 1, deepest), seed=seed
        )
        self._parameters = [parameter for parameter in self._adapted.parameters() if parameter.requires_grad]
        self._decoder: LoraDecoder | None = None
        self._fallback: TransformersBackend | None = None
        if model.uses_native_decoder:
            assert model.decoder_config is not None
            self._decoder = LoraDecoder(
                (model.without_adapter or model).weights(),
                model.decoder_config,
                trainable_deltas(self._adapted),
                deepest=deepest,
                dtype=torch.bfloat16 if bfloat16_is_fast() else torch.float32,
            )
        else:
            self._fallback = TransformersBackend(self._adapted.get_base_model().base_model, device=self._device)

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return self._encoder.dimension

    @property
    def device(self) -> str:
        """The device that the model runs on."""
        return self._device

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The parameters that are trained, always in the same order."""
        return self._parameters

    def on_step(self) -> None:
        """Apply changed parameters; call this after each step of the optimizer."""
        if self._decoder is not None:
            self._decoder.merge_lora()

    def passes(self, sequences: Sequence[EchoTokens]) -> Iterator[list[int]]:
        """Yield the positions of the sequences of each forward pass."""
        lengths = [len(tokens) for tokens in sequences]
        yield from batches_by_length(lengths, token_budget=_PASS_TOKENS[self._device])

    def embed(self, batch: Sequence[EchoTokens]) -> torch.Tensor:
        """Return unit vectors from one forward pass: float32 (len(batch), dimension)."""
        wanted = [(view.layer, [tokens.span(view.text_pass) for tokens in batch]) for view in self._views]
        total = torch.zeros(())
        for view, (_, spans), states in zip(self._views, wanted, self._span_states(batch, wanted), strict=True):
            total = total + view.weight * pool(states, [end - start for start, end in spans], self._pooling)
        return F.normalize(total, dim=-1)

    def save(self, folder: Path, *, dimensions: Sequence[int] = ()) -> None:
        """Write the adapter in the format of peft, and the prompts, pooling and views that it is trained for.

        `dimensions` are shorter lengths at which its vectors are trained, too.
        """
        self._adapted.save_pretrained(str(folder), save_embedding_layers=False)
        write_encoder_settings(folder, self._encoder.config(), dimensions=dimensions)

    def _span_states(self, batch: Sequence[EchoTokens], wanted: Sequence[SpansAt]) -> list[torch.Tensor]:
        if self._decoder is None:
            assert self._fallback is not None
            return self._fallback.span_states(batch, wanted)
        packed = PackedBatch.of(batch)
        ids = torch.cat([torch.tensor(packed.prefix, dtype=packed.ids.dtype), packed.ids])
        return split_by_request(self._decoder.forward(ids, packed.packing, rows=packed.rows(wanted)), wanted)
