"""Text generation with the embedding model: token ids to text, piece by piece."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any, Literal

import torch
from tokenizers.decoders import DecodeStream

from echo_index.embeddings.decoder.kv_cache import KVCache
from echo_index.embeddings.decoder.prompt_cache import PromptTokens
from echo_index.embeddings.generation.grammar import Grammar, GrammarState
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.runtime.executor import run_on_executor
from echo_index.errors import TextError

Sampler = Callable[[torch.Tensor], int]
"""From logits (vocabulary,) to the token that is drawn."""

_MIN_FORBIDDEN_REPEAT = 6  # tokens; shorter sequences may be repeated


class Generation(Iterator[str]):
    """A text that is being generated: iterate for its pieces. Other threads can use the model between two pieces.

    `tokens` is the number of tokens so far. `finish_reason` is None until the end, then "stop" (an end token or a stop
    string) or "length" (`max_tokens` were generated).
    """

    def __init__(
        self,
        model: LanguageModel,
        prompt: PromptTokens,
        *,
        max_tokens: int,
        stop: Sequence[str],
        sampler: Sampler | None,
        start_bias: Mapping[int, float],
        grammar: Grammar | None,
    ) -> None:
        self.tokens = 0
        self.finish_reason: Literal["stop", "length"] | None = None
        self._model = model
        choose = _TokenChoice(model, sampler, start_bias, grammar)
        pieces = self._text_pieces(prompt, choose, max_tokens=max_tokens)
        self._pieces = self._until_stop(stop, pieces)

    def __next__(self) -> str:
        """Return the next piece of text."""
        return next(self._pieces)

    def close(self) -> None:
        """End the text, so that its keys and values are free for the next one."""
        self._pieces.close()

    def _text_pieces(
        self, prompt: PromptTokens, choose: _TokenChoice, *, max_tokens: int
    ) -> Generator[str, None, None]:
        model = self._model
        backend = _NativeDecoder(model) if model.uses_native_decoder else _TransformersModel(model)
        stream = DecodeStream(skip_special_tokens=True)
        *first_parts, last_part = backend.unread_parts(prompt)
        ids: Sequence[int] = last_part
        try:
            for part in first_parts:
                run_on_executor(partial(backend.read, part))
            while self.tokens < max_tokens:
                token, *forced = run_on_executor(partial(choose.next_tokens, backend, ids))
                if token in model.end_ids:
                    self.finish_reason = "stop"
                    return
                ids = [token, *forced][: max_tokens - self.tokens]
                self.tokens += len(ids)
                for token in ids:
                    if text := model.tokenizer.decode_step(stream, token):
                        yield text
                if choose.is_complete:
                    self.finish_reason = "stop"
                    return
            self.finish_reason = "length"
        finally:
            backend.close(prompt)

    def _until_stop(self, stop: Sequence[str], pieces: Generator[str, None, None]) -> Generator[str, None, None]:
        pending = ""  # text that may be the beginning of a stop string
        with closing(pieces):
            for piece in pieces:
                pending += piece
                ends = [position for stop_string in stop if (position := pending.find(stop_string)) >= 0]
                if ends:
                    pending = pending[: min(ends)]
                    self.finish_reason = "stop"
                    break
                safe = len(pending) - max((_overlap(pending, stop_string) for stop_string in stop), default=0)
                if safe:
                    yield pending[:safe]
                    pending = pending[safe:]
        if pending:
            yield pending


def generate(
    model: LanguageModel,
    prompt: Sequence[int] | PromptTokens,
    *,
    max_tokens: int,
    stop: Sequence[str] = (),
    temperature: float = 0.0,
    seed: int | None = None,
    start_bias: Mapping[int, float] | None = None,
    grammar: Grammar | None = None,
) -> Generation:
    """Return the text that continues a prompt.

    Args:
        model: The language model; an adapter for embeddings is not used.
        prompt: Token ids to continue; with `PromptTokens`, the first parts are not read again for the next prompt.
        max_tokens: The most tokens to generate. An end token of the model ends the text earlier.
        stop: Strings that end the text; they are not part of it.
        temperature: Tokens are drawn by softmax(logits / temperature); 0 for always the most likely token.
        seed: The same seed draws the same tokens; None for a random one.
        start_bias: Added to the logits of these tokens where the text begins.
        grammar: What the text must follow; it may be cut at `max_tokens`.

    Raises:
        TextError: the temperature is below 0, or a stop string is empty.
    """
    if temperature < 0:
        raise TextError(f"The temperature is {temperature}; it must be at least 0.")
    if "" in stop:
        raise TextError("A stop string is empty: it would end every text at once.")
    sampler = None if temperature == 0 else _softmax_sampler(temperature, seed)
    tokens = prompt if isinstance(prompt, PromptTokens) else PromptTokens(tuple(prompt))
    return Generation(
        model,
        tokens,
        max_tokens=max_tokens,
        stop=stop,
        sampler=sampler,
        start_bias=start_bias or {},
        grammar=grammar,
    )


def whole_characters(model: LanguageModel, ids: Sequence[int]) -> str:
    """Return the text of tokens without special ones, up to its last character that is complete."""
    stream = DecodeStream(skip_special_tokens=True)
    return "".join(piece for token in ids if (piece := model.tokenizer.decode_step(stream, token)))


class _TokenChoice:
    """Chooses the next token of a text: the most likely one or a drawn one, of those that may come next."""

    def __init__(
        self,
        model: LanguageModel,
        sampler: Sampler | None,
        start_bias: Mapping[int, float],
        grammar: Grammar | None,
    ) -> None:
        self._model = model
        self._sampler = sampler
        self._start_bias = start_bias
        self._grammar = grammar
        self._state: GrammarState | None = None
        self._chosen: list[int] = []

    @property
    def is_complete(self) -> bool:
        """Whether the grammar allows nothing more."""
        return self._state is not None and self._state.is_complete

    @torch.inference_mode()
    def next_tokens(self, backend: _NativeDecoder | _TransformersModel, ids: Sequence[int]) -> list[int]:
        """Append `ids` to the text; return the next token, and those that must follow it in the grammar."""
        bias = {} if self._chosen else self._start_bias
        # A grammar repeats what it must, as the keys of objects in a list.
        repeating = [] if self._grammar else repeating_tokens(self._chosen)
        if self._sampler is None and not bias and self._grammar is None:
            token = backend.argmax_token(ids, exclude=repeating)
            self._chosen.append(token)
            return [token]
        logits = backend.next_logits(ids)
        logits[repeating] = -torch.inf
        for token, amount in bias.items():
            logits[token] += amount
        if self._grammar is not None and self._state is None:
            self._state = GrammarState(
                self._grammar, self._model.tokenizer, vocabulary=len(logits), end_ids=self._model.end_ids
            )
        if self._state is not None:
            self._state.restrict(logits)
        token = int(logits.argmax()) if self._sampler is None else self._sampler(logits)
        tokens = [token] if self._state is None else [token, *self._state.accept(token)]
        self._chosen += tokens
        return tokens


class _NativeDecoder:
    """The native decoder, without an adapter, and the KV cache of the text so far."""

    def __init__(self, model: LanguageModel) -> None:
        self._decoder = model.generation_decoder
        self._prompts = model.prompt_cache
        self._cache = KVCache()

    def unread_parts(self, prompt: PromptTokens) -> list[tuple[int, ...]]:
        """Return the parts of a prompt that are not in the cache of recent prompts."""
        self._cache = self._prompts.take(prompt)
        return prompt.parts_after(self._cache.tokens)

    @torch.inference_mode()
    def read(self, ids: Sequence[int]) -> None:
        """Append token ids to the text."""
        self._state_after(ids)

    def close(self, prompt: PromptTokens) -> None:
        """Leave the keys and values of the prompt to the next text."""
        self._prompts.give_back(prompt, self._cache)

    def next_logits(self, ids: Sequence[int]) -> torch.Tensor:
        """Append token ids to the text, and return the logits of the next token: (vocabulary,)."""
        return self._decoder.logits(self._state_after(ids))[0]

    def argmax_token(self, ids: Sequence[int], *, exclude: Sequence[int]) -> int:
        """Append token ids to the text, and return the most likely next token that is not in `exclude`."""
        return self._decoder.argmax_token(self._state_after(ids), exclude=exclude)

    def _state_after(self, ids: Sequence[int]) -> torch.Tensor:
        return self._decoder.extend(self._cache, ids, layer=self._decoder.config.depth)


class _TransformersModel:
    """transformers, for models and devices without a native decoder, and its KV cache of the text so far."""

    def __init__(self, model: LanguageModel) -> None:
        from transformers import DynamicCache

        self._causal_lm: Any = model.causal_lm
        self._device = model.device.name
        self._cache = DynamicCache(config=model.causal_lm.config)
        # Logits of the whole prompt would take gigabytes with a large vocabulary.
        can_limit_logits = "logits_to_keep" in inspect.signature(self._causal_lm.forward).parameters
        self._last_only = {"logits_to_keep": 1} if can_limit_logits else {}

    def unread_parts(self, prompt: PromptTokens) -> list[tuple[int, ...]]:
        """Return the whole prompt as one part."""
        return [prompt.ids]

    def read(self, ids: Sequence[int]) -> None:
        """Append token ids to the text."""
        self.next_logits(ids)

    def close(self, prompt: PromptTokens) -> None:
        """Keep nothing for the next text."""

    def next_logits(self, ids: Sequence[int]) -> torch.Tensor:
        """Append token ids to the text, and return the logits of the next token: (vocabulary,)."""
        input_ids = torch.tensor([list(ids)], device=self._device)
        output = self._causal_lm(input_ids=input_ids, past_key_values=self._cache, use_cache=True, **self._last_only)
        logits: torch.Tensor = output.logits[0, -1]
        return logits

    def argmax_token(self, ids: Sequence[int], *, exclude: Sequence[int]) -> int:
        """Append token ids to the text, and return the most likely next token that is not in `exclude`."""
        logits = self.next_logits(ids)
        logits[list(exclude)] = -torch.inf
        return int(logits.argmax())


def _softmax_sampler(temperature: float, seed: int | None) -> Sampler:
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)

    def draw(logits: torch.Tensor) -> int:
        # On the CPU, so that a seed draws the same on every device; minus the largest, so that nothing overflows.
        probabilities = torch.softmax((logits.float().cpu() - logits.max().cpu()) / temperature, dim=-1)
        return int(torch.multinomial(probabilities, 1, generator=generator))

    return draw


def repeating_tokens(generated: Sequence[int]) -> list[int]:
    """Return the tokens that would repeat a sequence of `_MIN_FORBIDDEN_REPEAT`; without this, small models loop."""
    recent = generated[-(_MIN_FORBIDDEN_REPEAT - 1) :]
    if len(recent) < _MIN_FORBIDDEN_REPEAT - 1:
        return []
    starts = range(len(generated) - len(recent))
    return [generated[start + len(recent)] for start in starts if generated[start : start + len(recent)] == recent]


def _overlap(text: str, stop_string: str) -> int:
    """Return how many characters at the end of `text` are the beginning of `stop_string`."""
    longest = min(len(text), len(stop_string) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop_string[:size])), 0)
