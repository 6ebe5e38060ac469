"""The steps of a training with AdamW: learning rate, log, checkpoint, evaluation and early end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from time import perf_counter

import torch
from torch import nn

from echo_index.embeddings.runtime.executor import run_on_executor
from echo_index.embeddings.runtime.malloc import release_freed_memory
from echo_index.embeddings.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from echo_index.embeddings.training.early_stopping import EarlyStopping
from echo_index.embeddings.training.step_log import StepLog, TuningStep

_OPTIMIZER_STATE = ("step", "exp_avg", "exp_avg_sq")  # the state of AdamW for each parameter
_CHECKPOINT_EVERY = 10  # steps
_MAX_GRADIENT_NORM = 1.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """The learning rate rises to `learning_rate` over the first `warmup_steps`, and falls to a tenth linearly."""

    steps: int
    learning_rate: float
    warmup_steps: int

    def at(self, number: int) -> float:
        """Return the learning rate of a step, counted from 1."""
        warmup = min(1.0, number / max(1, self.warmup_steps))
        return self.learning_rate * warmup * (1 - 0.9 * number / self.steps)


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What a backward pass reports: the loss, the source of the batch, and how many texts and tokens it had."""

    loss: float
    source: str
    texts: int
    tokens: int


class TrainingLoop:
    """A training and its progress.

    Args:
        folder: Folder of the log and the checkpoint.
        parameters: What is trained, always in the same order.
        schedule: The steps and their learning rates.
        backward: Computes the gradients of a batch, given by positions.
        on_step: Called when the parameters have changed.
        early_stopping: Evaluates the training and saves the best state.
        writes_files: Whether this process writes the log and the checkpoint.
    """

    def __init__(
        self,
        folder: Path,
        *,
        parameters: Sequence[nn.Parameter],
        schedule: Schedule,
        backward: Callable[[Sequence[int]], BatchResult],
        on_step: Callable[[], None],
        early_stopping: EarlyStopping,
        writes_files: bool,
    ) -> None:
        self._folder, self._parameters, self._schedule = folder, parameters, schedule
        self._backward, self._on_step, self._early_stopping = backward, on_step, early_stopping
        self._writes_files = writes_files
        self._optimizer = torch.optim.AdamW(parameters, lr=schedule.learning_rate, weight_decay=0.0)
        self._steps_done = 0

    def steps(self, run: str, batches: Iterator[Sequence[int]], *, evaluate_first: bool) -> Iterator[TuningStep]:
        """Train, and yield each step; continue from the checkpoint if the folder has one of the same `run`.

        `batches` are those from the first step on. Step 0, if `evaluate_first`, evaluates before the training.

        Raises:
            ModelError: the checkpoint is damaged, or of another run.
            OSError: the log or the checkpoint cannot be written.
        """
        checkpoint = load_checkpoint(self._folder, run=run)
        if checkpoint is not None:
            self._restore(*checkpoint)
        log = None
        if self._writes_files:
            log = StepLog(self._folder, resume_after=None if checkpoint is None else self._steps_done)
        if checkpoint is None and evaluate_first:
            initial = TuningStep(number=0, held_out=run_on_executor(partial(self._early_stopping.after_step, 0)))
            if log is not None:
                log.add(initial)
            yield initial
        for positions in islice(batches, self._steps_done, self._schedule.steps):
            if self._early_stopping.should_stop(self._steps_done):
                return
            step = run_on_executor(partial(self._step, positions))
            if log is not None:
                log.add(step)
                is_last = step.number == self._schedule.steps
                if step.held_out is not None or is_last or step.number % _CHECKPOINT_EVERY == 0:
                    save_checkpoint(self._folder, self._state(run), self._tensors())
            yield step

    def _step(self, positions: Sequence[int]) -> TuningStep:
        start = perf_counter()
        number = self._steps_done + 1
        learning_rate = self._schedule.at(number)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.zero_grad(set_to_none=True)
        result = self._backward(positions)
        torch.nn.utils.clip_grad_norm_(self._parameters, _MAX_GRADIENT_NORM)
        self._optimizer.step()
        self._on_step()
        self._steps_done = number
        release_freed_memory()
        seconds = perf_counter() - start
        return TuningStep(
            number=number,
            source=result.source,
            loss=result.loss,
            learning_rate=learning_rate,
            pairs_per_second=result.texts / seconds,
            tokens_per_second=result.tokens / seconds,
            held_out=self._early_stopping.after_step(number),
        )

    def _state(self, run: str) -> TrainingState:
        return TrainingState(run, self._steps_done, self._early_stopping.best, self._early_stopping.best_step)

    def _tensors(self) -> dict[str, torch.Tensor]:
        """Return the parameters and the state of the optimizer by their names in a checkpoint."""
        tensors = {}
        for number, parameter in enumerate(self._parameters):
            state = self._optimizer.state[parameter]
            tensors[f"{number}.value"] = parameter.detach()
            tensors |= {f"{number}.{name}": state[name] for name in _OPTIMIZER_STATE}
        return tensors

    def _restore(self, state: TrainingState, tensors: dict[str, torch.Tensor]) -> None:
        self._steps_done = state.step
        self._early_stopping.best, self._early_stopping.best_step = state.best, state.best_step
        with torch.no_grad():
            for number, parameter in enumerate(self._parameters):
                parameter.copy_(tensors[f"{number}.value"])
                self._optimizer.state[parameter] = {name: tensors[f"{number}.{name}"] for name in _OPTIMIZER_STATE}
        self._on_step()
