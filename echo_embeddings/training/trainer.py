"""The training loop: pairs in, an adapter out, going on where it was interrupted. Knows no files of pairs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from echo_index.embeddings.models.linear_head import is_linear_head
from echo_index.embeddings.runtime.executor import run_on_executor
from echo_index.embeddings.runtime.malloc import release_freed_memory
from echo_index.embeddings.training.batch_sampler import training_batches
from echo_index.embeddings.training.checkpoint import NAME_ANOTHER, TrainingState, load_checkpoint, save_checkpoint
from echo_index.embeddings.training.distributed import ProcessGroup
from echo_index.embeddings.training.gradient_cache import cached_backward
from echo_index.embeddings.training.loss import ContrastiveBatch, contrastive_loss, mean_reciprocal_rank
from echo_index.embeddings.training.memory_budget import token_budget
from echo_index.embeddings.training.pairs import TrainingPair, false_negative_mask, group_by_instruction, held_out_pairs
from echo_index.embeddings.training.step_log import StepLog, TuningStep
from echo_index.embeddings.training.trainable_encoder import TrainableEncoder
from echo_index.errors import ModelError

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.embeddings.text.prompt_tokens import EchoTokens

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # what AdamW keeps of a parameter
_KEPT_EVERY = 10  # steps between checkpoints
_HIGHEST_GRADIENT = 1.0  # its length is cut to this


@dataclass(frozen=True, slots=True)
class TuningOptions:
    """How an encoder is tuned.

    `learning_rate` rises over the first `warmup_steps` and falls to a tenth in a straight line. `batch` pairs are
    compared with each other, in groups of up to `alike` that share rare words. `dimensions` are shorter lengths at
    which vectors are to be good too. Every `evaluate_every` steps the `held_out` pairs are ranked; after `patience`
    times without a better score the training ends early. `teacher_share` is how much of the loss a teacher has.
    `most_tokens` are kept at once for their gradients; where it is None, as many as half of the memory holds.

    `rank`, `alpha` and `first_layer`, below which layers stay as they are, are those of a new adapter (LoRA). One that
    is trained further keeps its own.
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
"""Queries and documents to their similarities, float32 (queries, documents) from -1 to 1, which are to be learned."""


def tune(
    encoder: EchoEncoder,
    pairs: Sequence[TrainingPair],
    folder: Path,
    *,
    options: TuningOptions | None = None,
    teacher: Teacher | None = None,
    held_out: Sequence[TrainingPair] = (),
) -> Iterator[TuningStep]:
    """Train additions to a model, so that its embeddings of queries are near those of what is right; yield each step.

    Whatever the encoder is, its prompts, views and pooling, is what is trained; the adapter of its model, where it has
    one, is where the training begins. Pairs to measure on are `held_out`, or some that are taken out of `pairs`; where
    there are any, step 0 tells how well they are found. The best adapter so far stands in the folder at any time, as
    peft writes it, and a checkpoint from which the same call goes on: the steps that follow are those of a run that was
    never interrupted.

    Raises:
        TextError: there are too few pairs.
        PromptError: a pair has an instruction, and the query prompt has no place for it.
        MissingPackage: peft is not installed.
        ModelError: the folder holds another adapter or a checkpoint of another run, or the model's adapter is more than
            low-rank additions.
    """
    options = options or TuningOptions()
    if encoder.model.adapter == folder.resolve() or is_linear_head(folder):
        raise ModelError(f"The folder {folder} holds another adapter, which would be altered.", remedy=NAME_ANOTHER)
    for instruction in group_by_instruction([*pairs, *held_out]):
        encoder.query_tokens([], instruction=instruction)  # refused now, not in the middle of the training
    measured, trained = held_out_pairs(pairs, options.held_out, given=held_out)
    folder.mkdir(parents=True, exist_ok=True)
    trainable = run_on_executor(
        partial(TrainableEncoder, encoder, options.rank, options.alpha, options.first_layer, options.seed)
    )
    run = _Run(encoder, trainable, trained, measured, options, teacher, folder)
    yield from run.steps(_run_name(encoder, pairs, held_out, options))


def _run_name(
    encoder: EchoEncoder, pairs: Sequence[TrainingPair], held_out: Sequence[TrainingPair], options: TuningOptions
) -> str:
    digest = hashlib.sha256(encoder.fingerprint.encode())
    told = {name: value for name, value in asdict(options).items() if name not in ("most_tokens",)}
    digest.update(json.dumps(told, sort_keys=True).encode())
    for text in [*map(_told, pairs), *(f"\0held out\0{_told(pair)}" for pair in held_out)]:
        digest.update(text.encode("utf-8", "replace"))
    return digest.hexdigest()


def _told(pair: TrainingPair) -> str:
    return "\0".join([pair.source, pair.instruction or "", pair.query, pair.positive, *pair.negatives])


class _Run:
    """One training: what it is made of, and where it stands."""

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
        self._optimizer = torch.optim.AdamW(trainable.parameters, lr=options.learning_rate, weight_decay=0.0)
        self._processes = ProcessGroup(device=trainable.device)
        self._standing = TrainingState("", 0, -1.0, 0)

    @cached_property
    def _most_tokens(self) -> int:
        if self._options.most_tokens is not None:
            return self._options.most_tokens
        pairs = self._trained[: self._options.batch]  # always the same ones: a run that goes on goes on the same way
        documents = self._encoder.document_tokens([pair.positive for pair in pairs])
        return token_budget(self._trainable, [*self._query_tokens(pairs), *documents])

    def steps(self, name: str) -> Iterator[TuningStep]:
        self._standing = TrainingState(name, 0, -1.0, 0)
        found = load_checkpoint(self._folder, run=name)
        if found is not None:
            self._standing = found[0]
            self._restore(found[1])
        options = self._options
        is_first = self._processes.is_first
        log = StepLog(self._folder, kept=None if found is None else found[0].step) if is_first else None
        if found is None and self._held_out:
            beginning = TuningStep(number=0, held_out=run_on_executor(partial(self._judged, 0)))
            if log is not None:
                log.add(beginning)
            yield beginning
        batches = training_batches(
            self._trained, size=options.batch, seed=options.seed, group_size=options.hard_group_size
        )
        for positions in islice(batches, self._standing.step, options.steps):
            if self._is_over():
                return
            step = run_on_executor(partial(self._step, [self._trained[position] for position in positions]))
            if log is not None:
                log.add(step)
                if step.held_out is not None or step.number == options.steps or step.number % _KEPT_EVERY == 0:
                    save_checkpoint(self._folder, self._standing, self._tensors())
            yield step

    def _is_over(self) -> bool:
        options, state = self._options, self._standing
        return bool(self._held_out) and state.step - state.best_step >= options.patience * options.evaluate_every

    def _step(self, pairs: Sequence[TrainingPair]) -> TuningStep:
        options, number = self._options, self._standing.step + 1
        began = perf_counter()
        rate = options.learning_rate * _rate(number, options)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        documents = [*(pair.positive for pair in pairs), *(wrong for pair in pairs for wrong in pair.negatives)]
        queries = [pair.query for pair in pairs]
        sequences = [*self._query_tokens(pairs), *self._encoder.document_tokens(documents)]
        taught = None if self._teacher is None else torch.from_numpy(self._teacher(queries, documents))
        false_negatives = false_negative_mask(pairs, documents)

        def loss(vectors: torch.Tensor) -> torch.Tensor:
            return contrastive_loss(
                ContrastiveBatch(vectors[: len(queries)], vectors[len(queries) :], false_negatives.to(vectors.device)),
                temperature=options.temperature,
                dimensions=options.dimensions,
                teacher=None if taught is None else taught.to(vectors.device),
                distillation_weight=options.distillation_weight,
            )

        self._optimizer.zero_grad(set_to_none=True)
        found = cached_backward(
            self._trainable, sequences, loss, most_tokens=self._most_tokens, processes=self._processes
        )
        torch.nn.utils.clip_grad_norm_(self._trainable.parameters, _HIGHEST_GRADIENT)
        self._optimizer.step()
        self._trainable.on_step()
        release_freed_memory()
        took = perf_counter() - began
        score = self._judged(number)
        return TuningStep(
            number=number,
            source=pairs[0].source,
            loss=found,
            learning_rate=rate,
            pairs_per_second=len(pairs) / took,
            tokens_per_second=sum(map(len, sequences)) / took,
            held_out=score,
        )

    def _judged(self, number: int) -> float | None:
        """Measure where it is due, and keep the adapter if it is the best."""
        options = self._options
        score = None
        best, best_step = self._standing.best, self._standing.best_step
        if number % options.evaluate_every == 0 or number == options.steps:
            score = self._held_out_score() if self._held_out else None
            if score is None or score > best:
                best, best_step = (best if score is None else score), number
                if self._processes.is_first:
                    self._trainable.save(self._folder)
        self._standing = TrainingState(self._standing.run, number, best, best_step)
        return score

    @torch.no_grad()
    def _held_out_score(self) -> float:
        queries = self._embedded(self._query_tokens(self._held_out))
        documents = self._embedded(self._encoder.document_tokens([pair.positive for pair in self._held_out]))
        return mean_reciprocal_rank(queries, documents)

    def _query_tokens(self, pairs: Sequence[TrainingPair]) -> list[EchoTokens]:
        """Return the tokens of the query of each pair, with its instruction."""
        tokens: dict[int, EchoTokens] = {}
        for instruction, positions in group_by_instruction(pairs).items():
            query = [pairs[position].query for position in positions]
            tokens |= zip(positions, self._encoder.query_tokens(query, instruction=instruction), strict=True)
        return [tokens[position] for position in range(len(pairs))]

    def _embedded(self, sequences: Sequence[EchoTokens]) -> torch.Tensor:
        vectors = torch.empty(len(sequences), self._encoder.dimension)
        for positions in self._trainable.passes(sequences):
            vectors[positions] = self._trainable.embed([sequences[position] for position in positions]).cpu()
        return vectors

    def _tensors(self) -> dict[str, torch.Tensor]:
        tensors = {}
        for number, parameter in enumerate(self._trainable.parameters):
            state = self._optimizer.state[parameter]
            tensors[f"{number}.value"] = parameter.detach()
            tensors |= {f"{number}.{name}": state[name] for name in _MOMENTS}
        return tensors

    def _restore(self, tensors: dict[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for number, parameter in enumerate(self._trainable.parameters):
                parameter.copy_(tensors[f"{number}.value"])
                self._optimizer.state[parameter] = {name: tensors[f"{number}.{name}"] for name in _MOMENTS}
        self._trainable.on_step()


def _rate(number: int, options: TuningOptions) -> float:
    """Return the share of the full rate of learning at a step."""
    rising = min(1.0, number / max(1, options.warmup_steps))
    return rising * (1 - 0.9 * number / options.steps)
