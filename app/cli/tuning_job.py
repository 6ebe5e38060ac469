"""Tuning from the command line: reads pairs, opens model and teacher, tells how far it is, draws the losses."""

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
    from echo_index.embeddings.training.head_trainer import HeadOptions
    from echo_index.embeddings.training.pairs import TrainingPair
    from echo_index.embeddings.training.trainer import TuningOptions

_PLOT = "log.svg"
_SMOOTHED = 10  # steps


@dataclass(frozen=True)
class TuningSources:
    """Where pairs come from and what is learned from besides; None and () are nothing.

    `from_index` gives up to `most_from_index` pairs; `hard_negatives` is how many are looked up for each pair;
    `most_pairs` of each source are taken. `held_out` are files of pairs to measure on.
    """

    files: tuple[Path, ...] = ()
    from_index: Path | None = None
    most_from_index: int = 10_000
    most_pairs: int | None = None
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
    """Tune a model, by low-rank additions or by a head, print how it went, and leave an adapter in the folder.

    Raises:
        SourceError: there are no pairs, or a file of them cannot be read.
        MissingPackage: a package of the extra `tune` is not installed, or sentence-transformers for a teacher.
        EchoIndexError: the model or index cannot be opened, or the folder cannot be written.
    """
    from echo_index.embeddings.training.head_trainer import HeadOptions, tune_head
    from echo_index.embeddings.training.trainer import tune
    from echo_index.retriever.evaluation.sentence_transformer import sentence_transformer_teacher
    from echo_index.retriever.tuning.hard_negatives import add_hard_negatives
    from echo_index.retriever.tuning.pair_files import read_pairs

    require_matplotlib()
    pairs = _pairs(sources, notice)
    held_out = [pair for path in sources.held_out for pair in read_pairs(path)]
    notice(f"{pluralize(len(pairs), 'pair')} of {pluralize(len({pair.source for pair in pairs}), 'source')}.")
    encoder = open_encoder(encoder_options, before=None, chunk_tokens=0, notice=notice).with_options(
        max_tokens=max_tokens
    )
    _refuse_what_the_adapter_decides(encoder, options)
    teacher = None if sources.teacher is None else sentence_transformer_teacher(sources.teacher, most_tokens=max_tokens)
    last = None
    with WorkProgress(err) as progress:
        if sources.hard_negatives:
            pairs = add_hard_negatives(
                pairs,
                encoder,
                each=sources.hard_negatives,
                progress=lambda done, total: progress.show("Looking for hard negatives", done, total),
            )

        def reading(done: int, total: int) -> None:
            progress.show("Reading texts", done, total)

        try:
            made = (
                tune_head(encoder, pairs, folder, options=options, held_out=held_out, progress=reading)
                if isinstance(options, HeadOptions)
                else tune(encoder, pairs, folder, options=options, teacher=teacher, held_out=held_out)
            )
            for last in made:
                progress.show("Tuning", last.number, options.steps)
                if last.loss is None:
                    notice(f"Before: held-out MRR {last.held_out:.1f}.")
                elif last.held_out is not None:
                    notice(f"Step {last.number}: loss {last.loss:.3f}, held-out MRR {last.held_out:.1f}.")
        except OSError as error:
            raise EchoIndexError(f"{folder} cannot be written: {error.strerror}.") from None
    if last is None:
        notice("There was nothing left to do.")
    if os.environ.get("RANK", "0") != "0":  # of several processes, the first tells
        return
    draw_log(folder)
    out.print(_told(folder), soft_wrap=True)
    out.print(f"Written to {folder}. To use it: echo-index build --rebuild --adapter {folder} FOLDER", soft_wrap=True)


def _refuse_what_the_adapter_decides(encoder: EchoEncoder, options: TuningOptions | HeadOptions) -> None:
    from echo_index.embeddings.training.trainer import TuningOptions

    if encoder.model.adapter is None or not isinstance(options, TuningOptions):
        return
    usual = TuningOptions()
    if (options.rank, options.first_layer) != (usual.rank, usual.first_layer):
        raise ModelError(
            f"The adapter {encoder.model.adapter} keeps its rank and its layers; these are of a new one.",
            remedy="Begin a new one: --no-adapter",
        )


def _pairs(sources: TuningSources, notice: Callable[[str], None]) -> list[TrainingPair]:
    from echo_index.indexer.generations.snapshot import open_snapshot
    from echo_index.retriever.tuning.index_pairs import pairs_from_index
    from echo_index.retriever.tuning.pair_files import read_pairs

    pairs = [pair for path in sources.files for pair in read_pairs(path)]
    if sources.from_index is not None:
        snapshot = open_snapshot(sources.from_index, index_device="cpu", notice=notice)
        with snapshot.reading():
            pairs += pairs_from_index(snapshot, most=sources.most_from_index)
    if not pairs:
        raise SourceError(
            "There are no pairs to tune with.", remedy="Name a file (--pairs) or an index (--from-index)."
        )
    return _first_of_each(pairs, sources.most_pairs)


def _first_of_each(pairs: Sequence[TrainingPair], most: int | None) -> list[TrainingPair]:
    if most is None:
        return list(pairs)
    taken: dict[str, int] = {}
    kept = []
    for pair in pairs:
        taken[pair.source] = taken.get(pair.source, 0) + 1
        if taken[pair.source] <= most:
            kept.append(pair)
    return kept


def _told(folder: Path) -> str:
    from echo_index.embeddings.training.step_log import TUNING_LOG

    steps = [json.loads(line) for line in (folder / TUNING_LOG).read_text(encoding="utf-8").splitlines()]
    count = steps[-1]["number"]
    measured = {step["number"]: step["held_out"] for step in steps if step["held_out"] is not None}
    if not measured:
        return f"{pluralize(count, 'step')}, loss {steps[-1]['loss']:.3f}."
    number = max(measured, key=lambda number: measured[number])
    if number == 0:
        return f"{pluralize(count, 'step')}, none of which was better than before: held-out MRR {measured[0]:.1f}."
    before = f", {measured[0]:.1f} before" if 0 in measured else ""
    return f"{pluralize(count, 'step')}; best at step {number}: held-out MRR {measured[number]:.1f}{before}."


def draw_log(folder: Path) -> None:
    """Draw the losses and held-out scores of a training as log.svg in its folder."""
    from matplotlib.figure import Figure

    from echo_index.embeddings.training.step_log import TUNING_LOG

    steps = [json.loads(line) for line in (folder / TUNING_LOG).read_text(encoding="utf-8").splitlines()]
    figure = Figure(figsize=(7.0, 3.4), layout="constrained")
    losses = figure.subplots()
    made = [step for step in steps if step["loss"] is not None]
    losses.plot([step["number"] for step in made], _smoothed([step["loss"] for step in made]), color="#0072B2")
    losses.set_xlabel("step")
    losses.set_ylabel(f"loss, mean of {_SMOOTHED} steps", color="#0072B2")
    measured = [step for step in steps if step["held_out"] is not None]
    if measured:
        scores = losses.twinx()
        numbers = [step["number"] for step in measured]
        scores.plot(numbers, [step["held_out"] for step in measured], marker="o", color="#D55E00")
        scores.set_ylabel("held-out MRR", color="#D55E00")
    figure.savefig(folder / _PLOT)


def _smoothed(values: Sequence[float]) -> list[float]:
    return [
        sum(values[max(0, end - _SMOOTHED) : end]) / (end - max(0, end - _SMOOTHED))
        for end in range(1, len(values) + 1)
    ]
