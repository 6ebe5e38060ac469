"""Training of a LoRA adapter (arXiv 2106.09685) that continues prompts with given texts."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from echo_index.embeddings.decoder.linear import bfloat16_is_fast
from echo_index.embeddings.decoder.packing import Packing, rows_of_spans
from echo_index.embeddings.decoder.weights import head_weight
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.lora import is_adapter, is_answer_adapter, write_generation_settings
from echo_index.embeddings.runtime.executor import run_on_executor
from echo_index.embeddings.text.batching import batches_by_length
from echo_index.embeddings.training.checkpoint import OTHER_FOLDER_REMEDY
from echo_index.embeddings.training.early_stopping import EarlyStopping
from echo_index.embeddings.training.lora_decoder import LoraDecoder
from echo_index.embeddings.training.peft_adapter import trainable_adapter, trainable_deltas
from echo_index.embeddings.training.step_log import TuningStep
from echo_index.embeddings.training.training_loop import BatchResult, Schedule, TrainingLoop
from echo_index.errors import ModelError, TextError

_PASS_TOKENS = {"cpu": 4096, "cuda": 16384}


@dataclass(frozen=True, slots=True)
class Continuation:
    """Token ids of a prompt and of the text to write after it, which ends with what ends a text."""

    prompt: tuple[int, ...]
    text: tuple[int, ...]

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self.prompt) + len(self.text)


@dataclass(frozen=True, slots=True)
class PromptGroup:
    """Prompts that begin with the same tokens, such as questions after the same passages.

    The tokens of `prefix` are computed once for all `continuations`, whose prompts are without them.
    """

    prefix: tuple[int, ...]
    continuations: tuple[Continuation, ...]

    @classmethod
    def of(cls, continuations: Sequence[Continuation]) -> PromptGroup:
        """Group whole prompts, at least one, by the tokens that all of them begin with.

        One prompt alone has no prefix, so that it can be computed beside those of other groups.
        """
        if len(continuations) == 1:
            return cls((), tuple(continuations))
        # Each prompt keeps a token of its own: the text is predicted from it.
        own = min(len(continuation.prompt) for continuation in continuations) - 1
        columns = zip(*(continuation.prompt[:own] for continuation in continuations), strict=False)
        shared = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))
        rest = tuple(Continuation(continuation.prompt[shared:], continuation.text) for continuation in continuations)
        return cls(continuations[0].prompt[:shared], rest)

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self.prefix) + sum(map(len, self.continuations))


@dataclass(frozen=True, slots=True)
class ContinuationOptions:
    """Options for training an adapter that continues prompts.

    Attributes:
        steps: Number of steps, one batch each.
        batch: Prompts in a batch, at least: groups of prompts are not divided.
        learning_rate: The peak learning rate. It rises over the first `warmup_steps`, and falls to a tenth linearly.
        rank, alpha: Those of the adapter, which is on all matrices.
        held_out: Number of prompts to hold out, at most a fifth, in whole groups.
        evaluate_every: Steps from one evaluation of the held-out prompts to the next.
        patience: Evaluations without a better score after which the training ends early.
        seed: Seed of the order of the prompts and of the adapter.
    """

    steps: int = 300
    batch: int = 16
    learning_rate: float = 5e-4
    warmup_steps: int = 20
    rank: int = 16
    alpha: float = 32
    held_out: int = 100
    evaluate_every: int = 50
    patience: int = 5
    seed: int = 0


def tune_continuations(
    model: LanguageModel,
    groups: Sequence[PromptGroup],
    folder: Path,
    *,
    options: ContinuationOptions | None = None,
) -> Iterator[TuningStep]:
    """Train a new LoRA adapter to continue prompts with their texts; yield each step.

    The loss is the mean cross entropy of the tokens of the texts. The folder always has the best adapter so far, by the
    same loss of the held-out prompts, and a checkpoint, from which the same call continues.

    Raises:
        TextError: there are too few prompts.
        MissingPackage: peft is not installed.
        ModelError: the weights of the model are int8 only, or the folder holds something else.
    """
    options = options or ContinuationOptions()
    model = model.without_adapter or model
    if model.is_quantized:
        raise ModelError(f"The model {model.name} is quantized, and cannot be trained.", remedy="Train a smaller one.")
    if (folder / "config.json").exists() or (is_adapter(folder) and not is_answer_adapter(folder)):
        raise ModelError(
            f"The folder {folder} holds a model or another adapter, which would be changed.", remedy=OTHER_FOLDER_REMEDY
        )
    held_out, trained = _held_out_and_trained(groups, options)
    if sum(len(group.continuations) for group in trained) < 2:
        count = sum(len(group.continuations) for group in groups)
        raise TextError(f"There are {count} examples; training needs at least 2.")
    folder.mkdir(parents=True, exist_ok=True)
    trainable = run_on_executor(
        partial(TrainableWriter, model, rank=options.rank, alpha=options.alpha, seed=options.seed)
    )

    def backward(positions: Sequence[int]) -> BatchResult:
        batch = [trained[position] for position in positions]
        texts = sum(len(group.continuations) for group in batch)
        return BatchResult(trainable.backward(batch), "", texts=texts, tokens=sum(map(len, batch)))

    loop = TrainingLoop(
        folder,
        parameters=trainable.parameters,
        schedule=Schedule(options.steps, options.learning_rate, options.warmup_steps),
        backward=backward,
        on_step=trainable.on_step,
        early_stopping=EarlyStopping(
            steps=options.steps,
            evaluate_every=options.evaluate_every,
            patience=options.patience,
            evaluate=partial(trainable.score, held_out) if held_out else None,
            save=partial(trainable.save, folder),
        ),
        writes_files=True,
    )
    yield from loop.steps(_run_hash(model, groups, options), _batches(trained, options), evaluate_first=False)


def _held_out_and_trained(
    groups: Sequence[PromptGroup], options: ContinuationOptions
) -> tuple[list[PromptGroup], list[PromptGroup]]:
    order = torch.randperm(len(groups), generator=torch.Generator().manual_seed(options.seed)).tolist()
    wanted = min(options.held_out, sum(len(group.continuations) for group in groups) // 5)
    held_out, trained = [], []
    for group in (groups[position] for position in order):
        if len(group.continuations) <= wanted:
            held_out.append(group)
            wanted -= len(group.continuations)
        else:
            trained.append(group)
    return held_out, trained


def _batches(groups: Sequence[PromptGroup], options: ContinuationOptions) -> Iterator[list[int]]:
    """Yield positions of groups in a new random order each time all were seen."""
    generator = torch.Generator().manual_seed(options.seed)
    batch: list[int] = []
    prompts = 0
    while True:
        for position in torch.randperm(len(groups), generator=generator).tolist():
            batch.append(position)
            prompts += len(groups[position].continuations)
            if prompts >= options.batch:
                yield batch
                batch, prompts = [], 0


def _run_hash(model: LanguageModel, groups: Sequence[PromptGroup], options: ContinuationOptions) -> str:
    """Return a hash of all that determines the result of a training."""
    digest = hashlib.sha256(model.weights_hash.encode())
    digest.update(json.dumps(asdict(options), sort_keys=True).encode())
    for group in groups:
        for continuation in group.continuations:
            digest.update(repr(((*group.prefix, *continuation.prompt), continuation.text)).encode())
    return digest.hexdigest()


class TrainableWriter:
    """A model with a new LoRA adapter on all matrices of its layers, which can be trained to continue prompts.

    On a CPU it runs on the native decoder where that knows the model, in bfloat16 if the processor multiplies it
    natively; otherwise on transformers.

    Raises:
        MissingPackage: peft is not installed.
    """

    def __init__(self, model: LanguageModel, *, rank: int, alpha: float, seed: int) -> None:
        self._adapted = trainable_adapter(model, None, rank=rank, alpha=alpha, layers=range(model.depth), seed=seed)
        self._device = model.device.name
        self.parameters: list[nn.Parameter] = [
            parameter for parameter in self._adapted.parameters() if parameter.requires_grad
        ]
        self._decoder: LoraDecoder | None = None
        if model.uses_native_decoder:
            assert model.decoder_config is not None
            tensors, config = model.weights(), model.decoder_config
            dtype = torch.bfloat16 if bfloat16_is_fast() else torch.float32
            self._decoder = LoraDecoder(
                tensors, config, trainable_deltas(self._adapted), deepest=config.depth, dtype=dtype
            )
            self._softcap = config.logits_softcap
            self._head = head_weight(tensors, config).to(dtype)

    def on_step(self) -> None:
        """Use the parameters as they are after a step of the optimizer."""
        if self._decoder is not None:
            self._decoder.merge_lora()

    def backward(self, batch: Sequence[PromptGroup]) -> float:
        """Add the gradients of the mean loss of all tokens of the texts; return the loss."""
        count = _text_tokens(batch)
        total = 0.0
        for part in self._passes(batch):
            logits, targets = self._logits(part)
            loss = F.cross_entropy(logits, targets, reduction="sum") / count
            loss.backward()
            total += loss.item()
        return total

    @torch.no_grad()
    def score(self, groups: Sequence[PromptGroup]) -> float:
        """Return the geometric mean of the probabilities of all tokens of the texts, x100."""
        losses = (F.cross_entropy(*self._logits(part), reduction="sum") for part in self._passes(groups))
        return 100 * math.exp(-float(sum(losses)) / _text_tokens(groups))

    def save(self, folder: Path) -> None:
        """Write the adapter in the format of peft, marked as one that generates text."""
        self._adapted.save_pretrained(str(folder), save_embedding_layers=False)
        write_generation_settings(folder)

    def _passes(self, batch: Sequence[PromptGroup]) -> Iterator[PromptGroup]:
        """Yield all prompts in groups of a size that memory holds; those that share nothing are one group."""
        budget = _PASS_TOKENS.get(self._device, _PASS_TOKENS["cpu"])
        alone = [continuation for group in batch if not group.prefix for continuation in group.continuations]
        for group in [PromptGroup((), tuple(alone)), *(group for group in batch if group.prefix)]:
            lengths = [len(group.prefix) + len(continuation) for continuation in group.continuations]
            for positions in batches_by_length(lengths, token_budget=budget):
                yield PromptGroup(group.prefix, tuple(group.continuations[position] for position in positions))

    def _logits(self, part: PromptGroup) -> tuple[torch.Tensor, torch.Tensor]:
        """Return float32 logits (tokens, vocabulary) for each token of the texts, and these tokens (tokens,)."""
        targets = torch.tensor([token for continuation in part.continuations for token in continuation.text])
        prefix = len(part.prefix)
        # A token is predicted from the state of the token before it.
        spans = [
            (prefix + len(continuation.prompt) - 1, prefix + len(continuation) - 1)
            for continuation in part.continuations
        ]
        if self._decoder is None:
            return self._transformers_logits(part, spans), targets.to(self._device)
        lengths = [len(continuation) for continuation in part.continuations]
        texts = [token for continuation in part.continuations for token in (*continuation.prompt, *continuation.text)]
        depth = self._decoder.config.depth
        rows = {depth: rows_of_spans(lengths, spans, prefix=prefix)}
        packing = Packing.of(lengths, prefix=prefix)
        states = self._decoder.forward(torch.tensor([*part.prefix, *texts]), packing, rows=rows)[depth]
        logits = F.linear(states.to(self._head.dtype), self._head).float()
        return logits if self._softcap is None else (logits / self._softcap).tanh() * self._softcap, targets

    def _transformers_logits(self, part: PromptGroup, spans: Sequence[tuple[int, int]]) -> torch.Tensor:
        prefix = len(part.prefix)
        longest = prefix + max(map(len, part.continuations))
        ids = torch.zeros(len(part.continuations), longest, dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for row, continuation in enumerate(part.continuations):
            length = prefix + len(continuation)
            ids[row, :length] = torch.tensor((*part.prefix, *continuation.prompt, *continuation.text))
            mask[row, :length] = 1
        logits = self._adapted(input_ids=ids.to(self._device), attention_mask=mask.to(self._device)).logits
        return torch.cat([logits[row, start:end].float() for row, (start, end) in enumerate(spans)])


def _text_tokens(groups: Sequence[PromptGroup]) -> int:
    return sum(len(continuation.text) for group in groups for continuation in group.continuations)
