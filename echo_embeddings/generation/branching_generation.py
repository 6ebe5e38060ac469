"""Generate many texts at once: several that go on from each of many prompts, which are read once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch

from echo_index.embeddings.decoder.branching_cache import BranchingCache
from echo_index.embeddings.decoder.decoder import Decoder
from echo_index.embeddings.decoder.kv_cache import KVCache
from echo_index.embeddings.generation.text_generation import generate, repeating_tokens, whole_characters
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.runtime.executor import in_streams, run_on_executor
from echo_index.embeddings.text.batching import batches_by_length

_BATCH_TOKENS = 4096
"""Tokens of the texts of a batch: about twenty passages, whose branches are then written side by side."""
_PASS_TOKENS = 1024
"""Tokens of the texts that are read at once, unless one has more: with more, activations leave the caches."""


@dataclass(frozen=True, slots=True)
class BranchingPrompts:
    """Prompts made of three parts: a prefix that all share, texts, and endings; each text goes on with each ending.

    Texts and endings have at least one token each.
    """

    prefix: tuple[int, ...]
    texts: Sequence[tuple[int, ...]]
    endings: Sequence[tuple[int, ...]]


def generate_branches(
    model: LanguageModel, prompts: BranchingPrompts, *, max_tokens: int, stop: str
) -> Iterator[tuple[list[int], list[list[str]]]]:
    """Write the most likely continuation of each text with each ending; yield them in batches of texts.

    A batch is the positions of its texts in `prompts`, and for each of them the continuations in the order of the
    endings. They end before `stop`, at an end token of the model, or after `max_tokens` tokens. They are those of
    `generate`, up to rounding. Several batches run side by side, each on one core.

    Models without a native decoder write one continuation after the other.
    """
    if not model.uses_native_decoder:
        for position, text in enumerate(prompts.texts):
            whole = [(*prompts.prefix, *text, *ending) for ending in prompts.endings]
            yield [position], [["".join(generate(model, ids, max_tokens=max_tokens, stop=[stop])) for ids in whole]]
        return
    decoder, prefix = model.generation_decoder, KVCache()
    if prompts.prefix:
        run_on_executor(partial(_read_prefix, decoder, prefix, prompts.prefix))
    batches = list(batches_by_length([len(text) for text in prompts.texts], token_budget=_BATCH_TOKENS))
    passes = (
        partial(
            _Branches(model, decoder, prefix, max_tokens=max_tokens, stop=stop).write,
            [prompts.texts[position] for position in batch],
            prompts.endings,
        )
        for batch in batches
    )
    yield from zip(batches, in_streams(passes), strict=True)


@torch.inference_mode()
def _read_prefix(decoder: Decoder, cache: KVCache, ids: Sequence[int]) -> None:
    decoder.extend(cache, ids, layer=decoder.config.depth)


@dataclass(eq=False)
class _Branches:
    """The continuations of one batch of texts."""

    model: LanguageModel
    decoder: Decoder
    prefix: KVCache
    max_tokens: int = field(kw_only=True)
    stop: str = field(kw_only=True)

    @torch.inference_mode()
    def write(self, texts: Sequence[tuple[int, ...]], endings: Sequence[tuple[int, ...]]) -> list[list[str]]:
        """Return for each text its continuations, in the order of the endings."""
        lengths = [len(text) for text in texts]
        cache = BranchingCache(self.prefix, torch.tensor(lengths), branches=len(endings))
        first = 0
        for size in _sizes_of_passes(lengths):
            self.decoder.read_texts(cache, texts[first : first + size], first=first)
            first += size
        chosen: list[list[int]] = [[] for _ in range(len(texts) * len(endings))]
        running = list(range(len(chosen)))
        longest = max(len(ending) for ending in endings)
        padded = [[*ending, *ending[:1] * (longest - len(ending))] for ending in endings]
        tokens = torch.tensor(padded).repeat(len(texts), 1)
        sizes = torch.tensor([len(ending) for ending in endings]).repeat(len(texts))
        while running:
            states = self.decoder.extend_branches(cache, torch.tensor(running), tokens, sizes)
            logits = self.decoder.logits(states)
            for row, branch in zip(logits, running, strict=True):
                row[repeating_tokens(chosen[branch])] = -torch.inf
            for token, branch in zip(logits.argmax(dim=1).tolist(), running, strict=True):
                chosen[branch].append(token)
            running = [branch for branch in running if not self._is_complete(chosen[branch])]
            tokens = torch.tensor([chosen[branch][-1:] for branch in running])
            sizes = torch.ones(len(running), dtype=torch.int64)
        written = [self._text(ids) for ids in chosen]
        return [written[start : start + len(endings)] for start in range(0, len(written), len(endings))]

    def _is_complete(self, ids: Sequence[int]) -> bool:
        return len(ids) == self.max_tokens or ids[-1] in self.model.end_ids or self.stop in self._decoded(ids)

    def _text(self, ids: Sequence[int]) -> str:
        return self._decoded(ids).split(self.stop)[0]

    def _decoded(self, ids: Sequence[int]) -> str:
        return whole_characters(self.model, [token for token in ids if token not in self.model.end_ids])


def _sizes_of_passes(lengths: Sequence[int]) -> Iterator[int]:
    """Yield how many of the next texts are read at once."""
    count = tokens = 0
    for length in lengths:
        if count and tokens + length > _PASS_TOKENS:
            yield count
            count = tokens = 0
        count, tokens = count + 1, tokens + length
    yield count
