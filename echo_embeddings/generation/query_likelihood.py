"""How likely a language model finds a question after each of several passages. Knows no index and no ranking."""

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
_LOGITS = 8 * 1024 * 1024
"""Numbers that the head makes at a time: 32 MB, and as much again while they are compared."""


class QueryLikelihood:
    """The mean log probability, per token, of a question after a passage: log p(question | passage). Thread-safe.

    Sachan et al., "Improving Passage Retrieval with Zero-Shot Question Generation", arXiv 2204.07496. The model is
    taken without its adapter, which was trained to embed. `prompt` and `max_tokens`, the most tokens of a passage, are
    those of the model's profile unless given. `precision` is that of our layers; the language-model head, and what
    transformers runs, is in float32.
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
        ours = self._model.uses_native_decoder
        self._reader = _NativeDecoder(self._model, precision) if ours else _TransformersModel(self._model)

    def score(self, query: str, chunks: Sequence[str]) -> Vectors:
        """Return it for each passage: float32 (n,), in nats; times the question's tokens it is the log probability.

        Raises:
            TextError: the question or a passage is empty.
            ModelError: the model's context has no room for a passage and the question.
        """
        tokens = self._prompt.assemble(
            self._model.tokenizer,
            chunks,
            query,
            max_tokens=self._max_tokens,
            context=self._model.context,
        )
        return self._reader.mean_log_probabilities(tokens)


class _NativeDecoder:
    """By our own layers: passages end to end, without padding."""

    def __init__(self, model: LanguageModel, precision: Precision) -> None:
        self._extractor = HiddenStateExtractor(model, layers=[model.depth], precision=precision)
        self._depth = model.depth
        self._head = model.decoder(Precision.FP32)  # the one that writes: the head is large, and one is enough
        self._rows = max(1, _LOGITS // self._head.config.vocabulary_size)

    def mean_log_probabilities(self, tokens: LikelihoodTokens) -> Vectors:
        """Return (prompts); a batch of passages is one turn, and so is a slice of what the head makes of it."""
        means = np.empty(len(tokens.prompts), dtype=np.float32)
        read = [(*prompt, *tokens.query[:-1]) for prompt in tokens.prompts]
        for positions in batches_by_length([len(ids) for ids in read], token_budget=_BATCH_TOKENS):
            batch = [
                EchoTokens(read[position], len(tokens.prompts[position]) - 1, len(read[position]), None, tokens.fixed)
                for position in positions
            ]
            [states] = self._extractor.span_states(batch, (self._depth, [(each.start, each.end) for each in batch]))
            following = torch.tensor(tokens.query).repeat(len(batch))
            slices = zip(states.split(self._rows), following.split(self._rows), strict=True)
            found = np.concatenate([run_on_executor(partial(self._log_probabilities, *each)) for each in slices])
            means[positions] = found.reshape(len(batch), -1).mean(axis=1)
        return means

    @torch.inference_mode()
    def _log_probabilities(self, states: torch.Tensor, following: torch.Tensor) -> Vectors:
        return _of_following(self._head.logits(states), following)


class _TransformersModel:
    """The same for models and devices that our layers do not run: a passage at a time, so that nothing is padded."""

    def __init__(self, model: LanguageModel) -> None:
        self._writer: Any = model.causal_lm
        self._device = model.device.name
        self._takes_count = "logits_to_keep" in inspect.signature(self._writer.forward).parameters

    def mean_log_probabilities(self, tokens: LikelihoodTokens) -> Vectors:
        """Return (prompts); each passage is one turn."""
        found = [run_on_executor(partial(self._after, prompt, tokens.query)).mean() for prompt in tokens.prompts]
        return np.array(found, dtype=np.float32)

    @torch.inference_mode()
    def _after(self, prompt: Sequence[int], query: Sequence[int]) -> Vectors:
        read = torch.tensor([[*prompt, *query[:-1]]], device=self._device)
        kept = {"logits_to_keep": len(query)} if self._takes_count else {}
        logits: torch.Tensor = self._writer(input_ids=read, use_cache=False, **kept).logits[0, -len(query) :]
        return _of_following(logits.float(), torch.tensor(query, device=self._device))


def _of_following(logits: torch.Tensor, following: torch.Tensor) -> Vectors:
    """Return the log probability that logits (rows, vocabulary) give to the token that follows each row: (rows)."""
    return -F.cross_entropy(logits, following, reduction="none").cpu().numpy()
