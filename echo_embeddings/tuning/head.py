"""The cheap form of tuning: the model stays as it is, a linear head on its views is trained. Knows no files of pairs.

The texts go through the model once; what is kept of them is enough for any number of steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import nn

from echo_embeddings.adapters import copy_additions, is_plain_lora, write_use
from echo_embeddings.errors import ModelError
from echo_embeddings.head import Head, holds_head
from echo_embeddings.storage import cache_folder, write_remembered
from echo_embeddings.tuning.checkpoint import NAME_ANOTHER
from echo_embeddings.tuning.log import StepLog, TuningStep
from echo_embeddings.tuning.loss import Compared, contrastive_loss
from echo_embeddings.tuning.pairs import TrainingPair, equally_right, held_out_pairs, training_batches
from echo_embeddings.turns import in_turn

if TYPE_CHECKING:
    from echo_embeddings.encoder import EchoEncoder
    from echo_embeddings.geometry import Vectors

_AT_ONCE = 1024  # texts of one file of the cache
_NAME = "views"


@dataclass(frozen=True, slots=True)
class HeadOptions:
    """How a head is trained: on `batch` pairs at a time, `weight_decay` pulls it back to what it was at the beginning.

    The other fields are those of `TuningOptions`.
    """

    steps: int = 400
    batch: int = 256
    alike: int = 1
    learning_rate: float = 1e-3
    temperature: float = 0.05
    weight_decay: float = 0.1
    held_out: int = 200
    evaluate_every: int = 20
    patience: int = 5
    seed: int = 0


def tune_head(
    encoder: EchoEncoder,
    pairs: Sequence[TrainingPair],
    folder: Path,
    *,
    options: HeadOptions | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[TuningStep]:
    """Train a head on the views of an encoder, and yield each step; the best so far stands in the folder at any time.

    Step 0 tells how well the held-out pairs are found without it.

    Views without their means are what is trained on, as an index compares them. `progress` is told how many texts the
    model has read, and of how many; these are kept in the cache folder.

    Where the model has an adapter, the head goes on top of it, and the folder holds both.

    Raises:
        TextError: there are too few pairs, or a text is empty.
        ModelError: the model has a head already, or the folder holds another adapter.
    """
    options = options or HeadOptions()
    below = encoder.model.adapter
    if encoder.model.head is not None:
        raise ModelError(f"The adapter {below} has a head already.", remedy="Begin with the model alone: --no-adapter")
    held_out, trained = held_out_pairs(pairs, options.held_out)
    if is_plain_lora(folder) and (below is None or not holds_head(folder)):
        raise ModelError(f"The folder {folder} holds another adapter, which a head would alter.", remedy=NAME_ANOTHER)
    folder.mkdir(parents=True, exist_ok=True)
    features = _Features.of(encoder, [*held_out, *trained], progress)
    weights = nn.Parameter(_beginning(encoder))
    beginning = weights.detach().clone()
    optimizer = torch.optim.Adam([weights], lr=options.learning_rate)

    def step(positions: Sequence[int]) -> float:
        documents = [trained[position].positive for position in positions]
        documents += [wrong for position in positions for wrong in trained[position].negatives]
        compared = Compared(
            _mapped(features.queries([trained[position].query for position in positions]), weights),
            _mapped(features.documents(documents), weights),
            equally_right([trained[position] for position in positions], documents),
        )
        loss = contrastive_loss(compared, temperature=options.temperature)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            weights.sub_(options.learning_rate * options.weight_decay * (weights - beginning))
        return loss.item()

    def score() -> float:
        with torch.no_grad():
            queries = _mapped(features.queries([pair.query for pair in held_out]), weights)
            documents = _mapped(features.documents([pair.positive for pair in held_out]), weights)
            cosines = queries @ documents.T
            ranks = 1 + (cosines > cosines.diagonal()[:, None]).sum(dim=1)
            return 100 * float((1 / ranks).mean())

    def save() -> None:
        if below is not None:
            copy_additions(below, folder)
        Head(weights.detach().numpy().copy()).save(folder)
        write_use(folder, encoder.description())

    log = StepLog(folder, kept=None)
    best, best_step = -1.0, 0
    if held_out:
        best = in_turn(score)
        save()
        before = TuningStep(number=0, held_out=best)
        log.add(before)
        yield before
    batches = training_batches(trained, size=options.batch, seed=options.seed, alike=options.alike)
    for number, positions in enumerate(islice(batches, options.steps), start=1):
        began = perf_counter()
        loss = in_turn(partial(step, positions))
        took = perf_counter() - began
        found = None
        if number % options.evaluate_every == 0 or number == options.steps:
            found = in_turn(score) if held_out else None
            if found is None or found > best:
                best, best_step = (best if found is None else found), number
                save()
        made = TuningStep(
            number=number,
            source=trained[positions[0]].source,
            loss=loss,
            learning_rate=options.learning_rate,
            pairs_per_second=len(positions) / took,
            tokens_per_second=0.0,
            held_out=found,
        )
        log.add(made)
        yield made
        if held_out and number - best_step >= options.patience * options.evaluate_every:
            return


def _beginning(encoder: EchoEncoder) -> torch.Tensor:
    """Return the head that gives what the encoder gives without one: (views, dimension, dimension)."""
    one = torch.eye(encoder.dimension)
    return torch.stack([view.weight * one for view in encoder.views])


def _mapped(views: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return unit rows (n, dimension) from views (views, n, dimension)."""
    return nn.functional.normalize(torch.einsum("vnd,ved->ne", views, weights), dim=1)


class _Features:
    """The views of all queries and documents, without their means, by their texts."""

    def __init__(self, queries: tuple[dict[str, int], Vectors], documents: tuple[dict[str, int], Vectors]) -> None:
        self._queries, self._documents = queries, documents

    @classmethod
    def of(cls, encoder: EchoEncoder, pairs: Sequence[TrainingPair], progress: Callable[[int, int], None]) -> _Features:
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
