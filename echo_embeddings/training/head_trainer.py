"""Training of a linear head on the views of a frozen encoder: the cheap form of tuning.

The model embeds each text once; the cached views are enough for any number of steps.
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
from echo_index.embeddings.training.checkpoint import OTHER_FOLDER_REMEDY
from echo_index.embeddings.training.early_stopping import EarlyStopping
from echo_index.embeddings.training.loss import ContrastiveBatch, contrastive_loss, mean_reciprocal_rank
from echo_index.embeddings.training.pairs import TrainingPair, false_negative_mask, split_held_out
from echo_index.embeddings.training.step_log import StepLog, TuningStep
from echo_index.errors import ModelError

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder


@dataclass(frozen=True, slots=True)
class HeadOptions:
    """Options for training a head. `weight_decay` pulls the head towards its initial value.

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
    """Train a head on the centered views of an encoder, and yield each step.

    The folder always has the best head so far. Step 0 ranks the held-out pairs without a head. If the model has an
    adapter, the head is trained on top of it, and the folder gets both.

    Args:
        encoder: The encoder whose views the head maps. It stays as it is.
        pairs: Pairs to train on.
        folder: The folder of the new adapter.
        options: How to train.
        held_out: Pairs to rank; if there are none, some of `pairs` are held out.
        progress: Called with the numbers of texts embedded and of all texts. Their views go into the cache folder.

    Raises:
        TextError: there are too few pairs, or a text is empty.
        PromptError: a pair has an instruction, and the query prompt has no slot for it.
        ModelError: the model has a head already, or the folder has another adapter.
    """
    options = options or HeadOptions()
    adapter = encoder.model.adapter
    if encoder.model.head is not None:
        raise ModelError(
            f"The adapter {adapter} has a head already.", remedy="Begin with the model alone: --no-adapter"
        )
    held_out, trained = split_held_out(pairs, options.held_out, given=held_out)
    if is_plain_lora(folder) and (adapter is None or not is_linear_head(folder)):
        raise ModelError(
            f"The folder {folder} holds another adapter, which a head would change.", remedy=OTHER_FOLDER_REMEDY
        )
    folder.mkdir(parents=True, exist_ok=True)
    features = CachedFeatures.of(encoder, [*held_out, *trained], progress)
    log = StepLog(folder, resume_after=None)
    for step in _HeadTraining(encoder, features, trained, held_out, options, folder).steps():
        log.add(step)
        yield step


class _HeadTraining:
    """One training, with the current weights of the head (views, dimension, dimension)."""

    def __init__(
        self,
        encoder: EchoEncoder,
        features: CachedFeatures,
        trained: Sequence[TrainingPair],
        held_out: Sequence[TrainingPair],
        options: HeadOptions,
        folder: Path,
    ) -> None:
        self._encoder, self._features, self._folder = encoder, features, folder
        self._trained, self._held_out, self._options = trained, held_out, options
        self._weights = nn.Parameter(_identity_head(encoder))
        self._initial_weights = self._weights.detach().clone()
        self._optimizer = torch.optim.Adam([self._weights], lr=options.learning_rate)
        self._early_stopping = EarlyStopping(
            steps=options.steps,
            evaluate_every=options.evaluate_every,
            patience=options.patience,
            evaluate=self._held_out_score if held_out else None,
            save=self._save,
        )

    def steps(self) -> Iterator[TuningStep]:
        """Train, and yield each step."""
        options, trained = self._options, self._trained
        if self._held_out:
            yield TuningStep(number=0, held_out=self._evaluate_after(0))
        batches = training_batches(trained, size=options.batch, seed=options.seed, group_size=options.hard_group_size)
        for number, positions in enumerate(islice(batches, options.steps), start=1):
            start = perf_counter()
            loss = run_on_executor(partial(self._step, [trained[position] for position in positions]))
            seconds = perf_counter() - start
            yield TuningStep(
                number=number,
                source=trained[positions[0]].source,
                loss=loss,
                learning_rate=options.learning_rate,
                pairs_per_second=len(positions) / seconds,
                held_out=self._evaluate_after(number),
            )
            if self._early_stopping.should_stop(number):
                return

    def _step(self, pairs: Sequence[TrainingPair]) -> float:
        options = self._options
        documents = [*(pair.positive for pair in pairs), *(negative for pair in pairs for negative in pair.negatives)]
        batch = ContrastiveBatch(
            self._mapped(self._features.queries(pairs)),
            self._mapped(self._features.documents(documents)),
            false_negative_mask(pairs, documents),
        )
        loss = contrastive_loss(batch, temperature=options.temperature)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        with torch.no_grad():
            decay = options.learning_rate * options.weight_decay
            self._weights.sub_(decay * (self._weights - self._initial_weights))
        return loss.item()

    def _evaluate_after(self, number: int) -> float | None:
        return run_on_executor(partial(self._early_stopping.after_step, number))

    @torch.no_grad()
    def _held_out_score(self) -> float:
        return mean_reciprocal_rank(
            self._mapped(self._features.queries(self._held_out)),
            self._mapped(self._features.documents([pair.positive for pair in self._held_out])),
        )

    def _save(self) -> None:
        if self._encoder.model.adapter is not None:
            copy_lora_weights(self._encoder.model.adapter, self._folder)
        LinearHead(self._weights.detach().numpy().copy()).save(self._folder)
        write_encoder_settings(self._folder, self._encoder.config())

    def _mapped(self, views: torch.Tensor) -> torch.Tensor:
        """Return unit vectors (n, dimension) from views (views, n, dimension)."""
        return nn.functional.normalize(torch.einsum("vnd,ved->ne", views, self._weights), dim=1)


def _identity_head(encoder: EchoEncoder) -> torch.Tensor:
    """Return the head whose output is that of the encoder without one: (views, dimension, dimension)."""
    identity = torch.eye(encoder.dimension)
    return torch.stack([view.weight * identity for view in encoder.views])
