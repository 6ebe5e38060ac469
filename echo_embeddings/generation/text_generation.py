"""The same model writes: token ids in, text out, piece by piece. Knows nothing of questions or passages."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import torch
from tokenizers.decoders import DecodeStream

from echo_index.embeddings.decoder.decoder import KVCache
from echo_index.embeddings.decoder.linear import Precision
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.runtime.executor import run_on_executor
from echo_index.errors import TextError

Sampler = Callable[[torch.Tensor], int]
"""Draws a token by how likely each is: float (vocabulary) to one of them."""

_LONGEST_REPEAT = 6  # tokens that may stand in one text twice, less one


class Generation(Iterator[str]):
    """A text in the making: iterate for its pieces. Other threads may use the model between two of them.

    `tokens` counts what has been written so far. `ended` is None until the end: "stop" where the model came to an end
    or wrote a stop string, "length" where the most tokens were reached.
    """

    def __init__(
        self,
        model: LanguageModel,
        prompt: Sequence[int],
        *,
        max_tokens: int,
        stop: Sequence[str],
        sampler: Sampler | None,
    ) -> None:
        self.tokens = 0
        self.finish_reason: Literal["stop", "length"] | None = None
        self._model = model
        self._pieces = self._until(stop, self._write(prompt, max_tokens=max_tokens, sampler=sampler))

    def __next__(self) -> str:
        """Return the next piece of text."""
        return next(self._pieces)

    def _write(self, prompt: Sequence[int], *, max_tokens: int, sampler: Sampler | None) -> Iterator[str]:
        model = self._model
        continuation = _NativeDecoder(model) if model.uses_native_decoder else _TransformersModel(model)
        stream = DecodeStream(skip_special_tokens=True)
        ends = self._model.end_ids
        ids = list(prompt)
        written: list[int] = []

        @torch.inference_mode()
        def choose_next() -> int:
            repeating = _would_repeat(written)
            if sampler is None:
                return continuation.argmax_token(ids, exclude=repeating)
            logits = continuation.next_logits(ids)
            logits[repeating] = -torch.inf
            return sampler(logits)

        while self.tokens < max_tokens:
            token = run_on_executor(choose_next)
            if token in ends:
                self.finish_reason = "stop"
                return
            self.tokens += 1
            written.append(token)
            if text := self._model.tokenizer.decode_step(stream, token):
                yield text
            ids = [token]
        self.finish_reason = "length"

    def _until(self, stop: Sequence[str], pieces: Iterator[str]) -> Iterator[str]:
        held = ""  # text that may be the beginning of a stop string
        for piece in pieces:
            held += piece
            ends = [position for mark in stop if (position := held.find(mark)) >= 0]
            if ends:
                held = held[: min(ends)]
                self.finish_reason = "stop"
                break
            safe = len(held) - max((_overlap(held, mark) for mark in stop), default=0)
            if safe:
                yield held[:safe]
                held = held[safe:]
        if held:
            yield held


def generate(
    model: LanguageModel,
    prompt: Sequence[int],
    *,
    max_tokens: int,
    stop: Sequence[str] = (),
    temperature: float = 0.0,
    seed: int | None = None,
) -> Generation:
    """Continue `prompt` until an end token, a stop string (not part of the text) or `max_tokens`.

    At temperature 0 the most likely token is taken each time; above it tokens are drawn with softmax(logits /
    temperature), the same ones for the same `seed`.

    Raises:
        TextError: the temperature is below 0 or a stop string is empty.
    """
    if temperature < 0:
        raise TextError(f"The temperature is {temperature}; it must be at least 0.")
    if "" in stop:
        raise TextError("A stop string is empty.")
    sampler = None if temperature == 0 else _drawing(temperature, seed)
    return Generation(model, prompt, max_tokens=max_tokens, stop=stop, sampler=sampler)


class _NativeDecoder:
    """What was read so far, remembered by our own layers in float32: the weights that embed also write."""

    def __init__(self, model: LanguageModel) -> None:
        self._decoder = (model.without_adapter or model).decoder(Precision.FP32)
        self._memory = KVCache()

    def next_logits(self, ids: Sequence[int]) -> torch.Tensor:
        """Read on and return (vocabulary): how likely each token comes next."""
        return self._decoder.logits(self._state_after(ids))[0]

    def argmax_token(self, ids: Sequence[int], *, exclude: Sequence[int]) -> int:
        """Read on and return the token that most likely comes next, some left out."""
        return self._decoder.argmax_token(self._state_after(ids), exclude=exclude)

    def _state_after(self, ids: Sequence[int]) -> torch.Tensor:
        return self._decoder.extend(self._memory, ids, layer=self._decoder.config.depth)


class _TransformersModel:
    """The same for models and devices that our layers do not run."""

    def __init__(self, model: LanguageModel) -> None:

        from transformers import DynamicCache

        self._writer: Any = model.causal_lm
        self._device = model.device.name
        self._cache = DynamicCache(config=model.causal_lm.config)
        # Logits of the whole prompt would take gigabytes with a large vocabulary.
        takes_it = "logits_to_keep" in inspect.signature(self._writer.forward).parameters
        self._last_only = {"logits_to_keep": 1} if takes_it else {}

    def next_logits(self, ids: Sequence[int]) -> torch.Tensor:
        """Read on and return (vocabulary): how likely each token comes next."""
        given = torch.tensor([list(ids)], device=self._device)
        output = self._writer(input_ids=given, past_key_values=self._cache, use_cache=True, **self._last_only)
        logits: torch.Tensor = output.logits[0, -1]
        return logits

    def argmax_token(self, ids: Sequence[int], *, exclude: Sequence[int]) -> int:
        """Read on and return the token that most likely comes next, some left out."""
        logits = self.next_logits(ids)
        logits[list(exclude)] = -torch.inf
        return int(logits.argmax())


def _drawing(temperature: float, seed: int | None) -> Sampler:
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)

    def draw(logits: torch.Tensor) -> int:
        # on the CPU, so that a seed means the same on every device; from the best down, so that nothing overflows
        likely = torch.softmax((logits.float().cpu() - logits.max().cpu()) / temperature, dim=-1)
        return int(torch.multinomial(likely, 1, generator=generator))

    return draw


def _would_repeat(written: Sequence[int]) -> list[int]:
    """Return the tokens that would write the same few words again: small models fall into loops without this."""
    recent = written[-(_LONGEST_REPEAT - 1) :]
    if len(recent) < _LONGEST_REPEAT - 1:
        return []
    starts = range(len(written) - len(recent))
    return [written[start + len(recent)] for start in starts if written[start : start + len(recent)] == recent]


def _overlap(text: str, mark: str) -> int:
    """Return how many characters at the end of `text` are the beginning of `mark`."""
    return next((size for size in range(min(len(text), len(mark) - 1), 0, -1) if text.endswith(mark[:size])), 0)
