"""Query likelihood: the log probability that a language model gives to a query after each of several chunks."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from echo_index.embeddings.decoder.linear import Precision
from echo_index.embeddings.hidden_states import HiddenStateExtractor
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.runtime.executor import run_on_executor
from echo_index.embeddings.text.batching import batches_by_length
from echo_index.embeddings.text.likelihood_prompt import LikelihoodPrompt, LikelihoodTokens
from echo_index.embeddings.text.prompt_tokens import EchoTokens
from echo_index.embeddings.vectors.vector_ops import Vectors

_BATCH_TOKENS = 1024
_MAX_LOGITS = 8 * 1024 * 1024
"""Logits in memory at once: 32 MB, and as much again for their softmax."""


class QueryLikelihood:
    """The mean log probability per token of a query after a chunk: log p(query | chunk). Thread-safe.

    Sachan et al., "Improving Passage Retrieval with Zero-Shot Question Generation", arXiv 2204.07496. It runs without
    the model's adapter, which is trained for embeddings.

    Args:
        model: The language model.
        prompt: The prompt from a chunk to a query; by default that of the model's profile.
        max_tokens: The most tokens of a chunk that are read; by default those of the model's profile.
        precision: The precision of the native decoder. The language-model head, and transformers, run in float32.
    """

    def __init__(
        self,
        model: LanguageModel,
        *,
        prompt: LikelihoodPrompt | None = None,
        max_tokens: int | None = None,
        precision: Precision = Precision.FP32,
    ) -> None:
        self._model = model.without_adapter or model
        self._prompt = prompt or model.profile.likelihood
        self._max_tokens = max_tokens or model.profile.max_tokens
        is_native = self._model.uses_native_decoder
        self._backend = _NativeDecoder(self._model, precision) if is_native else _TransformersModel(self._model)

    def score(self, query: str, chunks: Sequence[str]) -> Vectors:
        """Return the mean log probability per token of the query after each chunk, in nats: float32 (n,).

        Raises:
            TextError: the query or a chunk is empty.
            ModelError: a chunk and the query do not fit into the context of the model.
        """
        tokens = self._prompt.assemble(
            self._model.tokenizer,
            chunks,
            query,
            max_tokens=self._max_tokens,
            context=self._model.context,
        )
        return self._backend.mean_log_probabilities(tokens)


class _NativeDecoder:
    """The native decoder: prompts are packed into batches without padding."""

    def __init__(self, model: LanguageModel, precision: Precision) -> None:
        self._extractor = HiddenStateExtractor(model, layers=[model.depth], precision=precision)
        self._depth = model.depth
        self._head = model.decoder(Precision.FP32)  # shared with text generation, as the head is large
        self._rows_at_once = max(1, _MAX_LOGITS // self._head.config.vocabulary_size)

    def mean_log_probabilities(self, tokens: LikelihoodTokens) -> Vectors:
        """Return float32 (prompts,). Each batch, and each slice of its logits, is a task of its own on the executor."""
        means = np.empty(len(tokens.prompts), dtype=np.float32)
        inputs = [(*prompt, *tokens.query[:-1]) for prompt in tokens.prompts]
        for positions in batches_by_length([len(ids) for ids in inputs], token_budget=_BATCH_TOKENS):
            batch = [
                EchoTokens(
                    inputs[position], len(tokens.prompts[position]) - 1, len(inputs[position]), None, tokens.fixed
                )
                for position in positions
            ]
            spans = [(prompt.start, prompt.end) for prompt in batch]
            [states] = self._extractor.span_states(batch, (self._depth, spans))
            targets = torch.tensor(tokens.query).repeat(len(batch))
            slices = zip(states.split(self._rows_at_once), targets.split(self._rows_at_once), strict=True)
            tasks = [partial(self._log_probabilities, *rows_and_targets) for rows_and_targets in slices]
            log_probabilities = np.concatenate([run_on_executor(task) for task in tasks])
            means[positions] = log_probabilities.reshape(len(batch), -1).mean(axis=1)
        return means

    @torch.inference_mode()
    def _log_probabilities(self, states: torch.Tensor, targets: torch.Tensor) -> Vectors:
        return _target_log_probabilities(self._head.logits(states), targets)


class _TransformersModel:
    """transformers, for models and devices without a native decoder: one prompt at a time, to need no padding."""

    def __init__(self, model: LanguageModel) -> None:
        self._causal_lm: Any = model.causal_lm
        self._device = model.device.name
        self._can_limit_logits = "logits_to_keep" in inspect.signature(self._causal_lm.forward).parameters

    def mean_log_probabilities(self, tokens: LikelihoodTokens) -> Vectors:
        """Return float32 (prompts,). Each prompt is a task of its own on the executor."""
        tasks = [partial(self._log_probabilities, prompt, tokens.query) for prompt in tokens.prompts]
        return np.array([run_on_executor(task).mean() for task in tasks], dtype=np.float32)

    @torch.inference_mode()
    def _log_probabilities(self, prompt: Sequence[int], query: Sequence[int]) -> Vectors:
        ids = torch.tensor([[*prompt, *query[:-1]]], device=self._device)
        limit = {"logits_to_keep": len(query)} if self._can_limit_logits else {}
        logits: torch.Tensor = self._causal_lm(input_ids=ids, use_cache=False, **limit).logits[0, -len(query) :]
        return _target_log_probabilities(logits.float(), torch.tensor(query, device=self._device))


def _target_log_probabilities(logits: torch.Tensor, targets: torch.Tensor) -> Vectors:
    """Return the log probability of the target (rows,) of each row of logits (rows, vocabulary): float32 (rows,)."""
    return -F.cross_entropy(logits, targets, reduction="none").cpu().numpy()
