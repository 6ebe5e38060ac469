"""The work of `tune`: read pairs, open model and teacher, show progress, plot the loss_axes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from echo_index.app.cli.evaluation_plot import require_matplotlib
from echo_index.app.cli.progress import WorkProgress
from echo_index.app.services.encoder_factory import EncoderOptions, open_encoder
from echo_index.app.services.formatting import pluralize
from echo_index.errors import EchoIndexError, ModelError, SourceError

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.embeddings.runtime.devices import DeviceChoice
    from echo_index.embeddings.training.head_trainer import HeadOptions
    from echo_index.embeddings.training.pairs import TrainingPair
    from echo_index.embeddings.training.trainer import TuningOptions

_PLOT_NAME = "log.svg"
_QUESTIONS_NAME, _PAIRS_NAME = "questions.jsonl", "pairs.jsonl"
_SMOOTHING_STEPS = 10


@dataclass(frozen=True)
class TuningSources:
    """Sources of training pairs, and what is added to them.

    Attributes:
        files: Files of pairs.
        from_index: Folder of an index that up to `max_from_index` pairs are made from.
        writer: Name of a model that writes questions for `passages` passages of the index.
        passages: Number of passages that questions are written for.
        apart_from: Folders in BEIR's layout; pairs that share ten words in a row with one of them are left out.
        max_pairs: Maximum number of pairs of each source.
        hard_negatives: Number of hard negatives to find for each pair.
        teacher: Name of a sentence-transformers model to distill.
        held_out: Files of pairs to evaluate on.
    """

    files: tuple[Path, ...] = ()
    from_index: Path | None = None
    max_from_index: int = 10_000
    writer: str | None = None
    passages: int = 1000
    apart_from: tuple[Path, ...] = ()
    max_pairs: int | None = None
    hard_negatives: int = 0
    teacher: str | None = None
    held_out: tuple[Path, ...] = ()


def tune_model(
    encoder_options: EncoderOptions,
    sources: TuningSources,
    options: TuningOptions | HeadOptions,
    folder: Path,
    *,
    max_tokens: int,
    out: Console,
    err: Console,
    notice: Callable[[str], None],
) -> None:
    """Train a LoRA adapter or a linear head, write it to the folder, and print the result.

    Raises:
        SourceError: there are no pairs, or a file of pairs cannot be read.
        MissingPackage: a package of the extra `tune` is missing, or sentence-transformers for a teacher.
        EchoIndexError: the model or index cannot be opened, or the folder cannot be written to.
    """
    from echo_index.embeddings.training.head_trainer import HeadOptions, tune_head
    from echo_index.embeddings.training.trainer import tune
    from echo_index.retriever.evaluation.sentence_transformer import sentence_transformer_teacher
    from echo_index.retriever.tuning.hard_negatives import add_hard_negatives
    from echo_index.retriever.tuning.pair_files import read_pairs

    require_matplotlib()
    with WorkProgress(err) as progress:
        pairs = _read_training_pairs(sources, encoder_options.device, folder, progress, notice)
    held_out = [pair for path in sources.held_out for pair in read_pairs(path)]
    notice(f"{pluralize(len(pairs), 'pair')} from {pluralize(len({pair.source for pair in pairs}), 'source')}.")
    encoder = open_encoder(encoder_options, before=None, chunk_tokens=0, notice=notice).with_options(
        max_tokens=max_tokens
    )
    _validate_adapter_options(encoder, options)
    teacher = None if sources.teacher is None else sentence_transformer_teacher(sources.teacher, max_tokens=max_tokens)
    last_step = None
    with WorkProgress(err) as progress:
        if sources.hard_negatives:
            pairs = add_hard_negatives(
                pairs,
                encoder,
                count=sources.hard_negatives,
                progress=lambda done, total: progress.show("Looking for hard negatives", done, total),
            )

        def show_reading(done: int, total: int) -> None:
            progress.show("Reading texts", done, total)

        try:
            training = (
                tune_head(encoder, pairs, folder, options=options, held_out=held_out, progress=show_reading)
                if isinstance(options, HeadOptions)
                else tune(encoder, pairs, folder, options=options, teacher=teacher, held_out=held_out)
            )
            for last_step in training:
                progress.show("Tuning", last_step.number, options.steps)
                if last_step.loss is None:
                    notice(f"Before: held-out MRR {last_step.held_out:.1f}.")
                elif last_step.held_out is not None:
                    notice(
                        f"Step {last_step.number}: loss {last_step.loss:.3f}, held-out MRR {last_step.held_out:.1f}."
                    )
        except OSError as error:
            raise EchoIndexError(f"{folder} cannot be written: {error.strerror}.") from None
    if last_step is None:
        notice("The training was already complete.")
    if os.environ.get("RANK", "0") != "0":  # of several processes, only the first one reports
        return
    draw_log(folder)
    out.print(training_summary(folder, measure="held-out MRR"), soft_wrap=True)
    out.print(f"Written to {folder}. To use it: echo-index build --rebuild --adapter {folder} FOLDER", soft_wrap=True)


def _validate_adapter_options(encoder: EchoEncoder, options: TuningOptions | HeadOptions) -> None:
    from echo_index.embeddings.training.trainer import TuningOptions

    if encoder.model.adapter is None or not isinstance(options, TuningOptions):
        return
    defaults = TuningOptions()
    if (options.rank, options.first_layer) != (defaults.rank, defaults.first_layer):
        raise ModelError(
            f"The rank and the layers of the adapter {encoder.model.adapter} cannot be changed.",
            remedy="Train a new adapter: --no-adapter",
        )


def _read_training_pairs(
    sources: TuningSources,
    device: DeviceChoice,
    folder: Path,
    progress: WorkProgress,
    notice: Callable[[str], None],
) -> list[TrainingPair]:
    from echo_index.retriever.tuning.pair_files import read_pairs

    pairs = [pair for path in sources.files for pair in read_pairs(path)]
    if sources.from_index is not None:
        if sources.writer is None:
            pairs += _pairs_from_sentences(sources.from_index, sources.max_from_index, notice)
        else:
            pairs += _written_pairs(sources, device, folder, progress, notice)
    if sources.apart_from:
        pairs = _apart_from(pairs, sources.apart_from, notice)
    if not pairs:
        raise SourceError("There are no pairs to train on.", remedy="Name a file (--pairs) or an index (--from-index).")
    return _limit_per_source(pairs, sources.max_pairs)


def _pairs_from_sentences(index: Path, limit: int, notice: Callable[[str], None]) -> list[TrainingPair]:
    from echo_index.indexer.generations.snapshot import open_snapshot
    from echo_index.retriever.tuning.index_pairs import pairs_from_index

    snapshot = open_snapshot(index, index_device="cpu", notice=notice)
    with snapshot.reading():
        return pairs_from_index(snapshot, limit=limit)


def _written_pairs(
    sources: TuningSources,
    device: DeviceChoice,
    folder: Path,
    progress: WorkProgress,
    notice: Callable[[str], None],
) -> list[TrainingPair]:
    """Let a model write questions, and return those that find their passage. They stay in the folder.

    Raises:
        SourceError: several processes train: all would write the same questions.
    """
    from echo_index.embeddings.models.model_loading import load_writer
    from echo_index.indexer.generations.snapshot import open_snapshot
    from echo_index.retriever.evaluation.line_store import LineStore
    from echo_index.retriever.search.retriever import Retriever
    from echo_index.retriever.tuning.pair_files import write_pairs
    from echo_index.retriever.tuning.question_writer import QuestionWriter
    from echo_index.retriever.tuning.written_pairs import consistent_pairs, sample_passages

    assert sources.from_index is not None and sources.writer is not None
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise SourceError(
            "Questions cannot be written by several processes.",
            remedy=f"Run tune --writer in one, then train on its pairs: --pairs {folder / _PAIRS_NAME}",
        )
    snapshot = open_snapshot(sources.from_index, index_device="cpu", notice=notice)
    with snapshot.reading():
        sample = sample_passages(snapshot, limit=sources.passages)
    writer = QuestionWriter(load_writer(sources.writer, device=device, notice=notice))
    retriever = Retriever.open(sources.from_index, device=device, index_device="cpu", notice=notice)
    with LineStore(folder / _QUESTIONS_NAME) as store:
        written = consistent_pairs(sample, retriever, writer, store, progress=progress.show)
    write_pairs(written.pairs, folder / _PAIRS_NAME)
    notice(
        f"{pluralize(written.questions, 'question')} for {pluralize(written.passages, 'passage')}; a search finds the "
        f"passage for {len(written.pairs)}: {folder / _PAIRS_NAME}"
    )
    return list(written.pairs)


def _apart_from(
    pairs: Sequence[TrainingPair], collections: Sequence[Path], notice: Callable[[str], None]
) -> list[TrainingPair]:
    from echo_index.retriever.evaluation.dataset_loader import read_texts
    from echo_index.retriever.tuning.overlap import Overlap

    apart = Overlap(text for folder in collections for text in read_texts(folder)).without_shared(pairs)
    if left_out := len(pairs) - len(apart):
        notice(f"{pluralize(left_out, 'pair')} left out: ten words in a row are in one of the evaluation collections.")
    return apart


def _limit_per_source(pairs: Sequence[TrainingPair], limit: int | None) -> list[TrainingPair]:
    if limit is None:
        return list(pairs)
    counts: dict[str, int] = {}
    selected = []
    for pair in pairs:
        counts[pair.source] = counts.get(pair.source, 0) + 1
        if counts[pair.source] <= limit:
            selected.append(pair)
    return selected


def training_summary(folder: Path, *, measure: str) -> str:
    """Return a sentence on a finished training: its steps and the best held-out score."""
    from echo_index.embeddings.training.step_log import TUNING_LOG

    steps = [json.loads(line) for line in (folder / TUNING_LOG).read_text(encoding="utf-8").splitlines()]
    count = steps[-1]["number"]
    measured = {step["number"]: step["held_out"] for step in steps if step["held_out"] is not None}
    if not measured:
        return f"{pluralize(count, 'step')}, loss {steps[-1]['loss']:.3f}."
    number = max(measured, key=lambda number: measured[number])
    if number == 0:
        return f"{pluralize(count, 'step')} without improvement: {measure} {measured[0]:.1f} before."
    before = f", {measured[0]:.1f} before" if 0 in measured else ""
    return f"{pluralize(count, 'step')}; best at step {number}: {measure} {measured[number]:.1f}{before}."


def draw_log(folder: Path) -> None:
    """Plot the losses and held-out scores of a training to log.svg in its folder."""
    from matplotlib.figure import Figure

    from echo_index.embeddings.training.step_log import TUNING_LOG

    steps = [json.loads(line) for line in (folder / TUNING_LOG).read_text(encoding="utf-8").splitlines()]
    figure = Figure(figsize=(7.0, 3.4), layout="constrained")
    loss_axes = figure.subplots()
    trained = [step for step in steps if step["loss"] is not None]
    loss_axes.plot(
        [step["number"] for step in trained], _moving_average([step["loss"] for step in trained]), color="#0072B2"
    )
    loss_axes.set_xlabel("step")
    loss_axes.set_ylabel(f"loss, mean of {_SMOOTHING_STEPS} steps", color="#0072B2")
    measured = [step for step in steps if step["held_out"] is not None]
    if measured:
        score_axes = loss_axes.twinx()
        numbers = [step["number"] for step in measured]
        score_axes.plot(numbers, [step["held_out"] for step in measured], marker="o", color="#D55E00")
        score_axes.set_ylabel("held-out MRR", color="#D55E00")
    figure.savefig(folder / _PLOT_NAME)


def _moving_average(values: Sequence[float]) -> list[float]:
    return [
        sum(values[max(0, end - _SMOOTHING_STEPS) : end]) / (end - max(0, end - _SMOOTHING_STEPS))
        for end in range(1, len(values) + 1)
    ]
