"""The same model writes: token ids in, text out, piece by piece. Knows nothing of questions or passages."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from tokenizers.decoders import DecodeStream
from transformers import DynamicCache

from echo_embeddings.models import LanguageModel

_LONGEST_REPEAT = 6  # tokens that may stand in one text twice, less one


def generate(
    model: LanguageModel,
    prompt: Sequence[int],
    *,
    max_tokens: int,
    stop: Sequence[str] = (),
) -> Iterator[str]:
    """Yield the most likely continuation of `prompt` until an end token, a stop string or `max_tokens`.

    A stop string is not part of what is yielded. Other threads may use the model between two pieces.
    """
    held = ""  # text that may be the beginning of a stop string
    for piece in _pieces(model, prompt, max_tokens=max_tokens):
        held += piece
        ends = [position for mark in stop if (position := held.find(mark)) >= 0]
        if ends:
            held = held[: min(ends)]
            break
        safe = len(held) - max((_overlap(held, mark) for mark in stop), default=0)
        if safe:
            yield held[:safe]
            held = held[safe:]
    if held:
        yield held


def _pieces(model: LanguageModel, prompt: Sequence[int], *, max_tokens: int) -> Iterator[str]:
    cache = DynamicCache(config=model.writer.config)
    stream = DecodeStream(skip_special_tokens=True)
    ends = _end_ids(model)
    ids = list(prompt)
    written: list[int] = []
    for _ in range(max_tokens):
        token = _likeliest(_next_logits(model, ids, cache), forbidden=_would_repeat(written))
        if token in ends:
            return
        written.append(token)
        if text := model.vocabulary.decode_step(stream, token):
            yield text
        ids = [token]


@torch.inference_mode()
def _next_logits(model: LanguageModel, ids: Sequence[int], cache: DynamicCache) -> torch.Tensor:
    writer: Any = model.writer
    # Logits of the whole prompt would take gigabytes with a large vocabulary.
    last_only = {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(writer.forward).parameters else {}
    with model.lock:
        output = writer(
            input_ids=torch.tensor([list(ids)], device=model.device.name),
            past_key_values=cache,
            use_cache=True,
            **last_only,
        )
    logits: torch.Tensor = output.logits[0, -1]
    return logits


@torch.inference_mode()
def _likeliest(logits: torch.Tensor, *, forbidden: list[int]) -> int:
    logits[forbidden] = -torch.inf
    return int(logits.argmax())


def _would_repeat(written: Sequence[int]) -> list[int]:
    """Return the tokens that would write the same few words again: small models fall into loops without this."""
    recent = written[-(_LONGEST_REPEAT - 1) :]
    if len(recent) < _LONGEST_REPEAT - 1:
        return []
    starts = range(len(written) - len(recent))
    return [written[start + len(recent)] for start in starts if written[start : start + len(recent)] == recent]


def _end_ids(model: LanguageModel) -> set[int]:
    configured = getattr(model.writer.generation_config, "eos_token_id", None)
    ends = set(configured) if isinstance(configured, list) else {configured}
    return {end for end in (*ends, model.vocabulary.end_id) if end is not None}


def _overlap(text: str, mark: str) -> int:
    """Return how many characters at the end of `text` are the beginning of `mark`."""
    return next((size for size in range(min(len(text), len(mark) - 1), 0, -1) if text.endswith(mark[:size])), 0)
