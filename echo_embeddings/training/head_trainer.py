"""The cheap form of tuning: the model stays as it is, a linear head on its views is trained. Knows no files of pairs.

The texts go through the model once; what is kept of them is enough for any number of steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import torch
from torch import nn

from echo_index.embeddings.models.linear_head import LinearHead, is_linear_head
from echo_index.embeddings.models.lora import copy_lora_weights, is_plain_lora, write_encoder_settings
from echo_index.embeddings.runtime.executor import run_on_executor
from echo_index.embeddings.training.batch_sampler import training_batches
from echo_index.embeddings.training.cached_features import CachedFeatures
from echo_index.embeddings.training.checkpoint import NAME_ANOTHER
from echo_index.embeddings.training.loss import ContrastiveBatch, contrastive_loss, mean_reciprocal_rank
from echo_index.embeddings.training.pairs import TrainingPair, false_negative_mask, held_out_pairs
from echo_index.embeddings.training.step_log import StepLog, TuningStep
from echo_index.errors import ModelError

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder


@dataclass(frozen=True, slots=True)
class HeadOptions:
    """How a head is trained: on `batch` pairs at a time, `weight_decay` pulls it back to what it was at the beginning.

    The other fields are those of `TuningOptions`.
    """

    steps: int = 400
    batch: int = 256
    hard_group_size: int = 1
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
    held_out: Sequence[TrainingPair] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[TuningStep]:
    """Train a head on the views of an encoder, and yield each step; the best so far stands in the folder at any time.

    Step 0 tells how well the `held_out` pairs, or some that are taken out of `pairs`, are found without it.

    Views without their means are what is trained on, as an index compares them. `progress` is told how many texts the
    model has read, and of how many; these are kept in the cache folder.

    Where the model has an adapter, the head goes on top of it, and the folder holds both.

    Raises:
        TextError: there are too few pairs, or a text is empty.
        PromptError: a pair has an instruction, and the query prompt has no place for it.
        ModelError: the model has a head already, or the folder holds another adapter.
    """
    options = options or HeadOptions()
    below = encoder.model.adapter
    if encoder.model.head is not None:
        raise ModelError(f"The adapter {below} has a head already.", remedy="Begin with the model alone: --no-adapter")
    measured, trained = held_out_pairs(pairs, options.held_out, given=held_out)
    if is_plain_lora(folder) and (below is None or not is_linear_head(folder)):
        raise ModelError(f"The folder {folder} holds another adapter, which a head would alter.", remedy=NAME_ANOTHER)
    folder.mkdir(parents=True, exist_ok=True)
    training = _HeadTraining(
        encoder, CachedFeatures.of(encoder, [*measured, *trained], progress), trained, measured, options
    )
    log = StepLog(folder, kept=None)
    for step in training.steps(folder):
        log.add(step)
        yield step


class _HeadTraining:
    """One training: what it is made of, and the weights (views, dimension, dimension) as they are now."""

    def __init__(
        self,
        encoder: EchoEncoder,
        features: CachedFeatures,
        trained: Sequence[TrainingPair],
        held_out: Sequence[TrainingPair],
        options: HeadOptions,
    ) -> None:
        self._encoder, self._features = encoder, features
        self._trained, self._held_out, self._options = trained, held_out, options
        self._weights = nn.Parameter(_beginning(encoder))
        self._beginning = self._weights.detach().clone()
        self._optimizer = torch.optim.Adam([self._weights], lr=options.learning_rate)

    def steps(self, folder: Path) -> Iterator[TuningStep]:
        """Train, and yield each step; the best so far is in the folder."""
        options, trained = self._options, self._trained
        best, best_step = -1.0, 0
        if self._held_out:
            best = run_on_executor(self._score)
            self._save(folder)
            yield TuningStep(number=0, held_out=best)
        batches = training_batches(trained, size=options.batch, seed=options.seed, group_size=options.hard_group_size)
        for number, positions in enumerate(islice(batches, options.steps), start=1):
            began = perf_counter()
            loss = run_on_executor(partial(self._step, [trained[position] for position in positions]))
            took = perf_counter() - began
            score = None
            if number % options.evaluate_every == 0 or number == options.steps:
                score = run_on_executor(self._score) if self._held_out else None
                if score is None or score > best:
                    best, best_step = (best if score is None else score), number
                    self._save(folder)
            yield TuningStep(
                number=number,
                source=trained[positions[0]].source,
                loss=loss,
                learning_rate=options.learning_rate,
                pairs_per_second=len(positions) / took,
                held_out=score,
            )
            if self._held_out and number - best_step >= options.patience * options.evaluate_every:
                return

    def _step(self, pairs: Sequence[TrainingPair]) -> float:
        options = self._options
        documents = [*(pair.positive for pair in pairs), *(wrong for pair in pairs for wrong in pair.negatives)]
        compared = ContrastiveBatch(
            self._mapped(self._features.queries(pairs)),
            self._mapped(self._features.documents(documents)),
            false_negative_mask(pairs, documents),
        )
        loss = contrastive_loss(compared, temperature=options.temperature)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        with torch.no_grad():
            self._weights.sub_(options.learning_rate * options.weight_decay * (self._weights - self._beginning))
        return loss.item()

    @torch.no_grad()
    def _score(self) -> float:
        return mean_reciprocal_rank(
            self._mapped(self._features.queries(self._held_out)),
            self._mapped(self._features.documents([pair.positive for pair in self._held_out])),
        )

    def _save(self, folder: Path) -> None:
        if self._encoder.model.adapter is not None:
            copy_lora_weights(self._encoder.model.adapter, folder)
        LinearHead(self._weights.detach().numpy().copy()).save(folder)
        write_encoder_settings(folder, self._encoder.config())

    def _mapped(self, views: torch.Tensor) -> torch.Tensor:
        """Return unit rows (n, dimension) from views (views, n, dimension)."""
        return nn.functional.normalize(torch.einsum("vnd,ved->ne", views, self._weights), dim=1)


def _beginning(encoder: EchoEncoder) -> torch.Tensor:
    """Return the head that gives what the encoder gives without one: (views, dimension, dimension)."""
    one = torch.eye(encoder.dimension)
    return torch.stack([view.weight * one for view in encoder.views])
