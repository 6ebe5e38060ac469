"""Training of a LoRA adapter on pairs of texts. An interrupted training continues from its last checkpoint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from echo_index.embeddings.models.linear_head import is_linear_head
from echo_index.embeddings.runtime.executor import run_on_executor
from echo_index.embeddings.training.batch_sampler import training_batches
from echo_index.embeddings.training.checkpoint import OTHER_FOLDER_REMEDY
from echo_index.embeddings.training.distributed import ProcessGroup
from echo_index.embeddings.training.early_stopping import EarlyStopping
from echo_index.embeddings.training.gradient_cache import Loss, cached_backward
from echo_index.embeddings.training.loss import ContrastiveBatch, contrastive_loss, mean_reciprocal_rank
from echo_index.embeddings.training.memory_budget import token_budget
from echo_index.embeddings.training.pairs import TrainingPair, false_negative_mask, group_by_instruction, split_held_out
from echo_index.embeddings.training.step_log import TuningStep
from echo_index.embeddings.training.trainable_encoder import TrainableEncoder
from echo_index.embeddings.training.training_loop import BatchResult, Schedule, TrainingLoop
from echo_index.errors import ModelError

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.embeddings.text.prompt_tokens import EchoTokens

_HASHED_NAMES = {"hard_group_size": "alike", "distillation_weight": "teacher_share"}
"""Names of options in the hash of a run: those of version 0.1, so that its checkpoints are still continued."""


@dataclass(frozen=True, slots=True)
class TuningOptions:
    """Options for training a LoRA adapter.

    Attributes:
        steps: Number of steps, one batch each.
        batch: Pairs in a batch; all its documents are contrasted with all its queries.
        hard_group_size: Pairs of a batch come in groups of up to so many that share rare words.
        learning_rate: The peak learning rate. It rises over the first `warmup_steps`, and falls to a tenth linearly.
        temperature: Cosines are divided by this in the loss.
        rank, alpha: Those of a new adapter; one that is trained further has its own.
        first_layer: The first layer that a new adapter changes, counted from 1.
        dimensions: Shorter lengths at which vectors are trained too (Matryoshka).
        distillation_weight: Weight of the teacher's part of the loss, if there is a teacher.
        held_out: Number of pairs to hold out, if none are given.
        evaluate_every: Steps from one ranking of the held-out pairs to the next.
        patience: Evaluations without a better score after which the training ends early.
        most_tokens: Tokens whose activations are in memory at once for the backward pass; None for as many as half of
            the memory holds. It changes the time of a step, not its result.
        seed: Seed of the order of pairs and of a new adapter.
    """

    steps: int = 500
    batch: int = 64
    hard_group_size: int = 4
    learning_rate: float = 5e-4
    warmup_steps: int = 20
    temperature: float = 0.05
    rank: int = 16
    alpha: float = 32
    first_layer: int = 1
    dimensions: tuple[int, ...] = ()
    distillation_weight: float = 0.5
    held_out: int = 200
    evaluate_every: int = 50
    patience: int = 5
    most_tokens: int | None = None
    seed: int = 0


Teacher = Callable[[Sequence[str], Sequence[str]], npt.NDArray[np.float32]]
"""From n queries and m documents to the cosines to learn: float32 (n, m)."""


def tune(
    encoder: EchoEncoder,
    pairs: Sequence[TrainingPair],
    folder: Path,
    *,
    options: TuningOptions | None = None,
    teacher: Teacher | None = None,
    held_out: Sequence[TrainingPair] = (),
) -> Iterator[TuningStep]:
    """Train a LoRA adapter that brings embeddings of queries close to those of their documents; yield each step.

    The folder always has the best adapter so far, in the format of peft, and a checkpoint. The same call continues from
    the checkpoint, with the same steps as a run without an interruption. Step 0 ranks the held-out pairs, if any,
    before training.

    Args:
        encoder: The encoder to train, with its prompts, views and pooling. If its model has an adapter, training starts
            from a copy of that one.
        pairs: Pairs to train on.
        folder: The folder of the new adapter.
        options: How to train.
        teacher: Gives cosines to learn in addition to the pairs.
        held_out: Pairs to rank; if there are none, some of `pairs` are held out.

    Raises:
        TextError: there are too few pairs.
        PromptError: a pair has an instruction, and the query prompt has no slot for it.
        MissingPackage: peft is not installed.
        ModelError: the folder has another adapter or a checkpoint of another run, or the model's adapter is not plain
            LoRA.
    """
    options = options or TuningOptions()
    if encoder.model.adapter == folder.resolve() or is_linear_head(folder):
        raise ModelError(
            f"The folder {folder} holds another adapter, which would be changed.", remedy=OTHER_FOLDER_REMEDY
        )
    for instruction in group_by_instruction([*pairs, *held_out]):
        encoder.query_tokens([], instruction=instruction)  # fails here rather than in the middle of the training
    evaluated, trained = split_held_out(pairs, options.held_out, given=held_out)
    folder.mkdir(parents=True, exist_ok=True)
    trainable = run_on_executor(
        partial(TrainableEncoder, encoder, options.rank, options.alpha, options.first_layer, options.seed)
    )
    training = _Training(encoder, trainable, trained, evaluated, options, teacher, folder)
    yield from training.steps(_run_hash(encoder, pairs, held_out, options))


def _run_hash(
    encoder: EchoEncoder, pairs: Sequence[TrainingPair], held_out: Sequence[TrainingPair], options: TuningOptions
) -> str:
    """Return a hash of all that determines the result of a training."""
    digest = hashlib.sha256(encoder.fingerprint.encode())
    settings = {_HASHED_NAMES.get(name, name): value for name, value in asdict(options).items()}
    del settings["most_tokens"]
    digest.update(json.dumps(settings, sort_keys=True).encode())
    for text in [*map(_joined, pairs), *(f"\0held out\0{_joined(pair)}" for pair in held_out)]:
        digest.update(text.encode("utf-8", "replace"))
    return digest.hexdigest()


def _joined(pair: TrainingPair) -> str:
    texts = [pair.source, pair.instruction or "", pair.query, pair.positive, *pair.negatives]
    if pair.teacher_query is not None or pair.teacher_positive is not None:
        texts += ["teacher", pair.teacher_query or "", pair.teacher_positive or ""]
    return "\0".join(texts)


class _Training:
    """One training and its progress."""

    def __init__(
        self,
        encoder: EchoEncoder,
        trainable: TrainableEncoder,
        trained: Sequence[TrainingPair],
        held_out: Sequence[TrainingPair],
        options: TuningOptions,
        teacher: Teacher | None,
        folder: Path,
    ) -> None:
        self._encoder, self._trainable, self._teacher = encoder, trainable, teacher
        self._trained, self._held_out, self._options, self._folder = trained, held_out, options, folder
        self._processes = ProcessGroup(device=trainable.device)
        self._loop = TrainingLoop(
            folder,
            parameters=trainable.parameters,
            schedule=Schedule(options.steps, options.learning_rate, options.warmup_steps),
            backward=self._backward,
            on_step=trainable.on_step,
            early_stopping=EarlyStopping(
                steps=options.steps,
                evaluate_every=options.evaluate_every,
                patience=options.patience,
                evaluate=self._held_out_score if held_out else None,
                save=self._save,
            ),
            writes_files=self._processes.is_first,
        )

    def steps(self, run: str) -> Iterator[TuningStep]:
        """Train, and yield each step; continue from the checkpoint if the folder has one of the same run."""
        options = self._options
        batches = training_batches(
            self._trained, size=options.batch, seed=options.seed, group_size=options.hard_group_size
        )
        return self._loop.steps(run, batches, evaluate_first=bool(self._held_out))

    def _backward(self, positions: Sequence[int]) -> BatchResult:
        pairs = [self._trained[position] for position in positions]
        documents = [*(pair.positive for pair in pairs), *(negative for pair in pairs for negative in pair.negatives)]
        sequences = [*self._query_tokens(pairs), *self._encoder.document_tokens(documents)]
        loss = cached_backward(
            self._trainable,
            sequences,
            self._loss_of_vectors(pairs, documents),
            most_tokens=self._most_tokens,
            processes=self._processes,
        )
        return BatchResult(loss, pairs[0].source, texts=len(pairs), tokens=sum(map(len, sequences)))

    def _loss_of_vectors(self, pairs: Sequence[TrainingPair], documents: Sequence[str]) -> Loss:
        """Return the loss as a function of the vectors of the queries and, after them, of the documents."""
        options, count = self._options, len(pairs)
        originals = [*(pair.original_positive for pair in pairs), *documents[count:]]
        teacher, queries = self._teacher, [pair.original_query for pair in pairs]
        cosines = None if teacher is None else torch.from_numpy(teacher(queries, originals))
        mask = false_negative_mask(pairs, documents)

        def loss(vectors: torch.Tensor) -> torch.Tensor:
            return contrastive_loss(
                ContrastiveBatch(vectors[:count], vectors[count:], mask.to(vectors.device)),
                temperature=options.temperature,
                dimensions=options.dimensions,
                teacher=None if cosines is None else cosines.to(vectors.device),
                distillation_weight=options.distillation_weight,
            )

        return loss

    @cached_property
    def _most_tokens(self) -> int:
        if self._options.most_tokens is not None:
            return self._options.most_tokens
        pairs = self._trained[: self._options.batch]  # always the same, so that a continued run has the same budget
        documents = self._encoder.document_tokens([pair.positive for pair in pairs])
        return token_budget(self._trainable, [*self._query_tokens(pairs), *documents])

    @torch.no_grad()
    def _held_out_score(self) -> float:
        queries = self._embed(self._query_tokens(self._held_out))
        documents = self._embed(self._encoder.document_tokens([pair.positive for pair in self._held_out]))
        return mean_reciprocal_rank(queries, documents)

    def _query_tokens(self, pairs: Sequence[TrainingPair]) -> list[EchoTokens]:
        """Return the tokens of the query of each pair, with its instruction."""
        tokens: dict[int, EchoTokens] = {}
        for instruction, positions in group_by_instruction(pairs).items():
            queries = [pairs[position].query for position in positions]
            tokens |= zip(positions, self._encoder.query_tokens(queries, instruction=instruction), strict=True)
        return [tokens[position] for position in range(len(pairs))]

    def _embed(self, sequences: Sequence[EchoTokens]) -> torch.Tensor:
        vectors = torch.empty(len(sequences), self._encoder.dimension)
        for positions in self._trainable.passes(sequences):
            vectors[positions] = self._trainable.embed([sequences[position] for position in positions]).cpu()
        return vectors

    def _save(self) -> None:
        if self._processes.is_first:
            self._trainable.save(self._folder, dimensions=self._options.dimensions)
