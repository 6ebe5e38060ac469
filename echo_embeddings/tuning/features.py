"""What a frozen model makes of the texts of pairs, read once and kept in the cache folder. Knows no training."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from echo_embeddings.storage import cache_folder, write_remembered

if TYPE_CHECKING:
    from echo_embeddings.encoder import EchoEncoder
    from echo_embeddings.geometry import Vectors
    from echo_embeddings.tuning.pairs import TrainingPair

_AT_ONCE = 1024  # texts of one file of the cache
_NAME = "views"


class Features:
    """The views of all queries and documents, without their means, by their texts."""

    def __init__(self, queries: tuple[dict[str, int], Vectors], documents: tuple[dict[str, int], Vectors]) -> None:
        self._queries, self._documents = queries, documents

    @classmethod
    def of(cls, encoder: EchoEncoder, pairs: Sequence[TrainingPair], progress: Callable[[int, int], None]) -> Features:
        asked = [*dict.fromkeys(pair.query for pair in pairs)]
        answers = [*dict.fromkeys(text for pair in pairs for text in (pair.positive, *pair.negatives))]
        total = len(asked) + len(answers)
        queries = _views(encoder, asked, "query", lambda done: progress(done, total))
        documents = _views(encoder, answers, "document", lambda done: progress(len(asked) + done, total))
        return cls(_centred(asked, queries), _centred(answers, documents))

    def queries(self, texts: Sequence[str]) -> torch.Tensor:
        """Return (views, n, dimension)."""
        return _of_texts(self._queries, texts)

    def documents(self, texts: Sequence[str]) -> torch.Tensor:
        """Return (views, n, dimension)."""
        return _of_texts(self._documents, texts)


def _centred(texts: Sequence[str], views: Vectors) -> tuple[dict[str, int], Vectors]:
    return {text: place for place, text in enumerate(texts)}, views - views.mean(axis=1, keepdims=True)


def _of_texts(known: tuple[dict[str, int], Vectors], texts: Sequence[str]) -> torch.Tensor:
    places, views = known
    return torch.from_numpy(views[:, [places[text] for text in texts]])


def _views(encoder: EchoEncoder, texts: Sequence[str], side: str, progress: Callable[[int], None]) -> Vectors:
    """Return float32 (views, n, dimension); what was read before is not read again."""
    read = encoder.query_views if side == "query" else encoder.document_views
    found = np.empty((len(encoder.views), len(texts), encoder.dimension), dtype=np.float32)
    for start in range(0, len(texts), _AT_ONCE):
        block = texts[start : start + _AT_ONCE]
        key = hashlib.sha256("\0".join([encoder.fingerprint, side, *block]).encode("utf-8", "replace")).hexdigest()
        path = cache_folder() / "features" / f"{key}.safetensors"
        part = found[:, start : start + _AT_ONCE]
        with suppress(SafetensorError, OSError, KeyError, ValueError):  # not there, or damaged
            part[:] = load_file(path)[_NAME]
            progress(start + len(block))
            continue
        for positions, views in read(block):
            part[:, positions] = views
        write_remembered(path, partial(save_file, {_NAME: part.astype(np.float16)}))
        progress(start + len(block))
    return found
