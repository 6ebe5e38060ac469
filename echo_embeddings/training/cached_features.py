"""What a frozen model makes of the texts of pairs, read once and kept in the cache folder. Knows no training."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from echo_index.embeddings.runtime.cache import cache_folder, write_cached
from echo_index.embeddings.training.pairs import TrainingPair, group_by_instruction

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.embeddings.vectors.vector_ops import Vectors

Key = TypeVar("Key")
_Known = tuple[dict[Key, int], "Vectors"]
"""Where each is in the second dimension of views, and these: (views, n, dimension)."""
_Asked = tuple[str | None, str]
"""An instruction and a query."""
_Read = Callable[[Sequence[str]], Iterator[tuple[list[int], "list[Vectors]"]]]
_AT_ONCE = 1024  # texts of one file of the cache
_NAME = "views"


class CachedFeatures:
    """The views of all queries and documents, without their means."""

    def __init__(self, queries: _Known[_Asked], documents: _Known[str]) -> None:
        self._queries, self._documents = queries, documents

    @classmethod
    def of(
        cls, encoder: EchoEncoder, pairs: Sequence[TrainingPair], progress: Callable[[int, int], None]
    ) -> CachedFeatures:
        """Read the texts of pairs; `progress` is told how many are read, and of how many."""
        asked = [*{_asked(pair): pair for pair in pairs}.values()]
        answers = [*dict.fromkeys(text for pair in pairs for text in (pair.positive, *pair.negatives))]
        done, total = 0, len(asked) + len(answers)

        def tell(count: int) -> None:
            nonlocal done
            done += count
            progress(done, total)

        groups = group_by_instruction(asked)
        queries = []
        for instruction, positions in groups.items():
            read = partial(encoder.query_views, instruction=instruction)
            texts = [asked[position].query for position in positions]
            queries.append(_views(encoder, texts, f"query {instruction or ''}", read, tell))
        documents = _views(encoder, answers, "document", encoder.document_views, tell)
        in_order = [_asked(asked[position]) for positions in groups.values() for position in positions]
        return cls(_centred(in_order, np.concatenate(queries, axis=1)), _centred(answers, documents))

    def queries(self, pairs: Sequence[TrainingPair]) -> torch.Tensor:
        """Return (views, n, dimension) of the queries of pairs."""
        return _found(self._queries, map(_asked, pairs))

    def documents(self, texts: Sequence[str]) -> torch.Tensor:
        """Return (views, n, dimension)."""
        return _found(self._documents, texts)


def _asked(pair: TrainingPair) -> _Asked:
    return pair.instruction, pair.query


def _centred(keys: Sequence[Key], views: Vectors) -> _Known[Key]:
    return {key: place for place, key in enumerate(keys)}, views - views.mean(axis=1, keepdims=True)


def _found(known: _Known[Key], keys: Iterable[Key]) -> torch.Tensor:
    places, views = known
    return torch.from_numpy(views[:, [places[key] for key in keys]])


def _views(encoder: EchoEncoder, texts: Sequence[str], side: str, read: _Read, tell: Callable[[int], None]) -> Vectors:
    """Return float32 (views, n, dimension); what was read before is not read again. `tell` hears of each part."""
    found = np.empty((len(encoder.views), len(texts), encoder.dimension), dtype=np.float32)
    for start in range(0, len(texts), _AT_ONCE):
        block = texts[start : start + _AT_ONCE]
        key = hashlib.sha256("\0".join([encoder.fingerprint, side, *block]).encode("utf-8", "replace")).hexdigest()
        path = cache_folder() / "features" / f"{key}.safetensors"
        part = found[:, start : start + _AT_ONCE]
        with suppress(SafetensorError, OSError, KeyError, ValueError):  # not there, or damaged
            part[:] = load_file(path)[_NAME]
            tell(len(block))
            continue
        for positions, views in read(block):
            part[:, positions] = views
        write_cached(path, partial(save_file, {_NAME: part.astype(np.float16)}))
        tell(len(block))
    return found
