"""Keep the keys and values of recent prompts, so that a prompt that begins like one of them is not read again."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from threading import Lock

from echo_index.embeddings.decoder.kv_cache import KVCache

_KEPT = 2  # prompts whose keys and values stay in memory


@dataclass(frozen=True, slots=True)
class PromptTokens:
    """The token ids of a prompt, and the positions at which its parts end, ascending, without the end of the prompt.

    The parts are read one after the other. A part that is reused was thus read in the same steps as one that is not:
    the same prompt has the same keys and values to the last bit, whatever was asked before.
    """

    ids: tuple[int, ...]
    ends: tuple[int, ...] = ()

    def parts_after(self, position: int) -> list[tuple[int, ...]]:
        """Return the ids of each part after a position, which is 0 or the end of a part."""
        cuts = [position, *(end for end in self.ends if end > position), len(self.ids)]
        return [self.ids[start:end] for start, end in pairwise(cuts)]


class PromptCache:
    """The KV caches of the last prompts. Thread-safe; a KV cache is used by one text at a time."""

    def __init__(self) -> None:
        self._kept: list[tuple[PromptTokens, KVCache]] = []  # the last used last
        self._lock = Lock()

    def take(self, prompt: PromptTokens) -> KVCache:
        """Return a KV cache with as many of the first parts of a prompt as were read before, and remove it from here.

        The last part is never among them: it is read for the state of the last token.
        """
        with self._lock:
            shared = [_shared_tokens(prompt, kept) for kept, _ in self._kept]
            if not any(shared):
                return KVCache()
            _, cache = self._kept.pop(max(range(len(shared)), key=shared.__getitem__))
        cache.tokens = max(shared)
        return cache

    def give_back(self, prompt: PromptTokens, cache: KVCache) -> None:
        """Keep the KV cache of a text that began with a prompt; the one that was not used for longest is dropped.

        Its last part, often the longest, cannot be shared and is not kept. Nor is a prompt of one part, or one whose
        other parts were not all read.
        """
        if not prompt.ends or cache.tokens < prompt.ends[-1]:
            return
        cache.shrink(prompt.ends[-1])
        with self._lock:
            self._kept = [*self._kept, (prompt, cache)][-_KEPT:]


def _shared_tokens(prompt: PromptTokens, other: PromptTokens) -> int:
    """Return the end of the last part up to which two prompts are the same; 0 if their first parts differ."""
    shared = 0
    for end, other_end in zip(prompt.ends, other.ends, strict=False):
        if end != other_end or prompt.ids[shared:end] != other.ids[shared:end]:
            break
        shared = end
    return shared
