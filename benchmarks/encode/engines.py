"""Engines that compute echo embeddings: a plain reference and ours; and the peak speed of the machine.

The plain engine follows the paper's reference implementation: AutoModel of transformers in float32, padded batches of
16 in the order of the texts, all layers with their hidden states, and the mean over the second text pass.
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
from echo_index.embeddings.models.model_loading import load_model
from echo_index.embeddings.models.profiles import profile_for
from echo_index.embeddings.text.echo_prompt import EchoPrompt
from echo_index.embeddings.text.prompt_tokens import EchoTokens, PromptTokenizer
from echo_index.embeddings.text.tokenizer import ModelTokenizer
from echo_index.embeddings.vectors.layer_views import LayerView, TextPass
from echo_index.embeddings.vectors.vector_ops import Vectors

Precision = Literal["fp32", "bf16", "int8"]

PEAK_SIDE = 2048
"""Rows of the square matrices that are multiplied to measure the peaks."""
_PEAK_TIMES = 2  # multiplications in a call: long enough to measure, short enough to repeat often
PEAK_OPERATIONS = _PEAK_TIMES * 2 * PEAK_SIDE**3
"""Multiplications and additions in one call."""
_PLAIN_BATCH = 16


class PlainEngine:
    """Echo embeddings as in the reference implementation."""

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
        """Count the input tokens of the model, without padding."""
        return sum(map(len, self._assemble(texts)))

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return the weighted sum of the layer views of the profile: (n, dimension), not normalized."""
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
    """Echo embeddings of this project, in one precision."""

    def __init__(self, model: str, *, precision: Precision) -> None:
        self.about = f"echo_embeddings, {precision}"
        self._encoder = EchoEncoder(load_model(model, device="cpu"), precision=precision)

    def tokens(self, texts: Sequence[str]) -> int:
        """Count the tokens of the prompts with the texts."""
        tokenizer = PromptTokenizer(self._encoder.model.tokenizer, max_tokens=self._encoder.max_tokens)
        prompt: EchoPrompt = self._encoder.document_prompt
        return sum(map(len, tokenizer.assemble(prompt, texts)))

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors (n, dimension)."""
        return self._encoder.encode_documents(texts)


class Peak:
    """The fastest matrix multiplication of torch on this machine; embeds nothing."""

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
        """Return 0."""
        return 0

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> None:
        """Multiply matrices; the texts are ignored."""
        for _ in range(_PEAK_TIMES):
            self._multiply()


def linear_weights(base_model: nn.Module, *, layer: int | None) -> int:
    """Count the weights of the linear layers up to `layer`, or of all if None; each token meets each weight once."""
    depth = int(base_model.config.get_text_config().num_hidden_layers)  # type: ignore[union-attr, operator]
    blocks = next(part for part in base_model.modules() if isinstance(part, nn.ModuleList) and len(part) == depth)
    # Weights of norms and biases have one dimension.
    return sum(weight.numel() for block in blocks[:layer] for weight in block.parameters() if weight.ndim == 2)
