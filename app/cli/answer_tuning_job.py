"""The work of `tune-answers`: find passages for the questions, train the adapter, show progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from echo_index.app.cli.evaluation_plot import require_matplotlib
from echo_index.app.cli.progress import WorkProgress
from echo_index.app.cli.tuning_job import draw_log, training_summary
from echo_index.app.services.answer_evaluation_job import AnswerEvaluationOptions, open_questions
from echo_index.app.services.encoder_factory import EncoderOptions
from echo_index.app.services.formatting import pluralize
from echo_index.errors import EchoIndexError

if TYPE_CHECKING:
    from echo_index.embeddings.runtime.devices import DeviceChoice
    from echo_index.embeddings.training.continuation_trainer import ContinuationOptions

_MEASURE = "mean probability of held-out tokens"


@dataclass(frozen=True)
class AnswerTuningSources:
    """The questions, and where their passages are searched for: in the folder `documents`, or in the index.

    `model` embeds; None for the model of the index, or the default one.
    """

    file: Path
    documents: Path | None
    index: Path
    passages: int
    work: Path | None = None
    model: str | None = None
    device: DeviceChoice = "auto"


def train_answer_adapter(
    writer: str,
    sources: AnswerTuningSources,
    options: ContinuationOptions,
    folder: Path,
    *,
    out: Console,
    err: Console,
    notice: Callable[[str], None],
) -> None:
    """Train an adapter for answers, write it to the folder, and print the result.

    Raises:
        SourceError: the file or the documents cannot be read.
        TextError: there are too few questions whose answers are found.
        MissingPackage: a package of the extra `tune` is missing.
        EchoIndexError: the model or index cannot be opened, or the folder cannot be written to.
    """
    from echo_index.embeddings.models.model_loading import load_model
    from echo_index.embeddings.training.continuation_trainer import tune_continuations
    from echo_index.retriever.tuning.answer_examples import answer_examples

    require_matplotlib()
    evaluation = AnswerEvaluationOptions(
        corpus=sources.documents,
        index=sources.index,
        encoder=EncoderOptions(sources.model, device=sources.device),
        passages=sources.passages,
        work=sources.work,
    )
    with WorkProgress(err) as progress:
        questions, retriever = open_questions(sources.file, evaluation, notice=notice, progress=progress.show)
        model = load_model(writer, device=sources.device, notice=notice)
        examples = answer_examples(
            questions,
            retriever,
            model,
            passages=sources.passages,
            progress=lambda done, total: progress.show("Searching for passages", done, total),
        )
        count = sum(len(group.continuations) for group in examples)
        notice(f"{pluralize(count, 'example')} from {pluralize(len(questions), 'question')}.")
        last_step = None
        try:
            for last_step in tune_continuations(model, examples, folder, options=options):
                progress.show("Tuning", last_step.number, options.steps)
                if last_step.held_out is not None:
                    notice(
                        f"Step {last_step.number}: loss {last_step.loss:.3f}, {_MEASURE} {last_step.held_out:.1f} %."
                    )
        except OSError as error:
            raise EchoIndexError(f"{folder} cannot be written: {error.strerror}.") from None
    if last_step is None:
        notice("The training was already complete.")
    draw_log(folder)
    out.print(training_summary(folder, measure=_MEASURE), soft_wrap=True)
    out.print(f"Written to {folder}. To use it: echo-index ask --writer {folder} QUESTION", soft_wrap=True)
