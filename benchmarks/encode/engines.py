"""The ways to make an echo embedding: the plain one, written for comparison, and ours; and what the machine can do.

The plain way is that of the paper's reference implementation: transformers' AutoModel in float32, batches of 16 in the
order of the texts, padded, with an attention mask, all layers, all their hidden states, the mean over the second copy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from echo_index.embeddings.decoder import linear as kernels
from echo_index.embeddings.decoder.weights import Projection
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import load_model
from echo_index.embeddings.models.profiles import profile_for
from echo_index.embeddings.text.echo_prompt import EchoPrompt
from echo_index.embeddings.text.prompt_tokens import EchoTokens, PromptTokenizer
from echo_index.embeddings.text.tokenizer import ModelTokenizer
from echo_index.embeddings.vectors.layer_views import LayerView, TextPass
from echo_index.embeddings.vectors.vector_ops import Vectors

Precision = Literal["fp32", "bf16", "int8"]

PEAK_SIDE = 2048
"""The peaks multiply square matrices of so many rows."""
_PEAK_TIMES = 2  # a call: long enough for the clock, short enough to come often
PEAK_OPERATIONS = _PEAK_TIMES * 2 * PEAK_SIDE**3
"""Multiplications and additions of one call."""
_PLAIN_BATCH = 16


class PlainEngine:
    """Texts to echo embeddings as the reference implementation makes them."""

    def __init__(self, model: str, folder: Path) -> None:
        from transformers import AutoModel

        profile = profile_for(model)
        self.about = "transformers, float32"
        self._model = AutoModel.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
        self._prompt = profile.document
        depth = int(self._model.config.get_text_config().num_hidden_layers)
        self._views = profile.views or (LayerView(TextPass.ECHO, depth),)
        self._tokenizer = PromptTokenizer(ModelTokenizer.load(folder), max_tokens=profile.max_tokens)

    def tokens(self, texts: Sequence[str]) -> int:
        """Count the tokens that the model is fed, without padding."""
        return sum(map(len, self._assemble(texts)))

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return the means over the copies, added up as the profile weighs them: (n, dimension), not normalized."""
        sequences = self._assemble(texts)
        batches = [sequences[start : start + _PLAIN_BATCH] for start in range(0, len(sequences), _PLAIN_BATCH)]
        return np.concatenate([self._encode_batch(batch) for batch in batches])

    def _assemble(self, texts: Sequence[str]) -> list[EchoTokens]:
        return self._tokenizer.assemble(self._prompt, texts)

    def _encode_batch(self, batch: Sequence[EchoTokens]) -> Vectors:
        shape = (len(batch), max(map(len, batch)))
        ids = torch.zeros(shape, dtype=torch.long)
        attended = torch.zeros(shape, dtype=torch.long)
        pooled = {copy: torch.zeros(shape) for copy in TextPass}
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = torch.tensor(tokens.ids)
            attended[row, : len(tokens)] = 1
            pooled[TextPass.ECHO][row, tokens.start : tokens.end] = 1
            pooled[TextPass.TEXT][row, slice(*(tokens.first_copy or (0, 0)))] = 1
        output = self._model(input_ids=ids, attention_mask=attended, output_hidden_states=True)
        total = torch.zeros(len(batch), output.hidden_states[0].shape[-1])
        for view in self._views:
            sums = (output.hidden_states[view.layer] * pooled[view.text_pass][..., None]).sum(dim=1)
            total += view.weight * torch.nn.functional.normalize(sums, dim=-1)
        vectors: Vectors = total.numpy()
        return vectors


class OurEngine:
    """Texts to echo embeddings as this project makes them, in one precision."""

    def __init__(self, model: str, *, precision: Precision) -> None:
        self.about = f"echo_embeddings, {precision}"
        self._encoder = EchoEncoder(load_model(model, device="cpu"), precision=precision)

    def tokens(self, texts: Sequence[str]) -> int:
        """Count the tokens of the prompts that hold the texts."""
        tokenizer = PromptTokenizer(self._encoder.model.tokenizer, max_tokens=self._encoder.max_tokens)
        prompt: EchoPrompt = self._encoder.document_prompt
        return sum(map(len, tokenizer.assemble(prompt, texts)))

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return unit rows, (n, dimension)."""
        return self._encoder.encode_documents(texts)


class Peak:
    """The fastest multiplication of matrices that torch has here; embeds nothing."""

    def __init__(self, precision: Literal["fp32", "int8"]) -> None:
        sides = (PEAK_SIDE, PEAK_SIDE)
        self.about = f"torch {torch.__version__}, {precision}, {PEAK_SIDE} x {PEAK_SIDE} x {PEAK_SIDE}"
        self._multiply: Callable[[], torch.Tensor]
        if precision == "fp32":
            projection = Projection(torch.randn(sides), None)
            matrix, rows = kernels.linear(projection, kernels.Precision.FP32), torch.randn(sides)
            self._multiply = partial(matrix, rows)
        else:
            numbers = torch.randint(-127, 128, sides, dtype=torch.int8)
            self._multiply = partial(torch._int_mm, numbers, numbers)

    def tokens(self, texts: Sequence[str]) -> int:
        """Count nothing."""
        return 0

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> None:
        """Multiply, whatever the texts are."""
        for _ in range(_PEAK_TIMES):
            self._multiply()


def linear_weights(reader: nn.Module, *, layer: int | None) -> int:
    """Count the weights of the linear layers up to `layer`, all where it is None: a token meets each of them once."""
    depth = int(reader.config.get_text_config().num_hidden_layers)  # type: ignore[union-attr, operator]
    blocks = next(part for part in reader.modules() if isinstance(part, nn.ModuleList) and len(part) == depth)
    # Norms and biases have one dimension.
    return sum(weight.numel() for block in blocks[:layer] for weight in block.parameters() if weight.ndim == 2)
