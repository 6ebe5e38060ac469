"""The views of the texts of training pairs from a frozen encoder, computed once and stored in the cache folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from echo_index.embeddings.runtime.cache import cache_key, get_or_make
from echo_index.embeddings.training.pairs import TrainingPair, group_by_instruction

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.embeddings.vectors.vector_ops import Vectors

Key = TypeVar("Key")
_QueryKey = tuple[str | None, str]
"""An instruction and a query."""
_Encode = Callable[[Sequence[str]], Iterator[tuple[list[int], "list[Vectors]"]]]
"""From texts to positions among them and their views, batch by batch."""
_TEXTS_PER_FILE = 1024
_TENSOR_NAME = "views"


class CachedFeatures:
    """The centered views of the queries and documents of training pairs."""

    def __init__(self, queries: _CenteredViews[_QueryKey], documents: _CenteredViews[str]) -> None:
        self._queries, self._documents = queries, documents

    @classmethod
    def of(
        cls, encoder: EchoEncoder, pairs: Sequence[TrainingPair], progress: Callable[[int, int], None]
    ) -> CachedFeatures:
        """Embed the texts of pairs; `progress` is called with the numbers of texts done and of all texts."""
        distinct = [*{_query_key(pair): pair for pair in pairs}.values()]
        documents = [*dict.fromkeys(text for pair in pairs for text in (pair.positive, *pair.negatives))]
        done, total = 0, len(distinct) + len(documents)

        def on_done(count: int) -> None:
            nonlocal done
            done += count
            progress(done, total)

        groups = group_by_instruction(distinct)
        query_views = []
        for instruction, positions in groups.items():
            encode = partial(encoder.query_views, instruction=instruction)
            texts = [distinct[position].query for position in positions]
            query_views.append(_views(encoder, texts, f"query {instruction or ''}", encode, on_done))
        document_views = _views(encoder, documents, "document", encoder.document_views, on_done)
        keys = [_query_key(distinct[position]) for positions in groups.values() for position in positions]
        return cls(_CenteredViews(keys, np.concatenate(query_views, axis=1)), _CenteredViews(documents, document_views))

    def queries(self, pairs: Sequence[TrainingPair]) -> torch.Tensor:
        """Return the centered views of the queries of pairs: (views, n, dimension)."""
        return self._queries.of(map(_query_key, pairs))

    def documents(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the centered views of documents: (views, n, dimension)."""
        return self._documents.of(texts)


class _CenteredViews(Generic[Key]):
    """Views (views, n, dimension), each minus its mean, by the key of a text."""

    def __init__(self, keys: Sequence[Key], views: Vectors) -> None:
        self._positions = {key: position for position, key in enumerate(keys)}
        self._views = views - views.mean(axis=1, keepdims=True)

    def of(self, keys: Iterable[Key]) -> torch.Tensor:
        return torch.from_numpy(self._views[:, [self._positions[key] for key in keys]])


def _query_key(pair: TrainingPair) -> _QueryKey:
    return pair.instruction, pair.query


def _views(
    encoder: EchoEncoder, texts: Sequence[str], side: str, encode: _Encode, on_done: Callable[[int], None]
) -> Vectors:
    """Return float32 (views, n, dimension) from the cache or `encode`; `on_done` is called with counts of texts."""
    views = np.empty((len(encoder.views), len(texts), encoder.dimension), dtype=np.float32)
    for start in range(0, len(texts), _TEXTS_PER_FILE):
        block = texts[start : start + _TEXTS_PER_FILE]
        views[:, start : start + _TEXTS_PER_FILE] = get_or_make(
            "features",
            f"{cache_key(encoder.fingerprint, side, *block)}.safetensors",
            read=_load_views,
            make=partial(_embed_views, encoder, block, encode),
            write=_save_views,
        )
        on_done(len(block))
    return views


def _load_views(path: Path) -> Vectors:
    return load_file(path)[_TENSOR_NAME].astype(np.float32)


def _save_views(path: Path, views: Vectors) -> None:
    save_file({_TENSOR_NAME: views.astype(np.float16)}, path)


def _embed_views(encoder: EchoEncoder, texts: Sequence[str], encode: _Encode) -> Vectors:
    embedded = np.empty((len(encoder.views), len(texts), encoder.dimension), dtype=np.float32)
    for positions, views in encode(texts):
        embedded[:, positions] = views
    return embedded
