"""The work of `calibrate`: try settings on an index, show progress, print the best ones, write a profile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from echo_index.app.cli.progress import WorkProgress
from echo_index.app.services.encoder_factory import EncoderOptions, open_encoder
from echo_index.app.services.profile_file import write_profile
from echo_index.errors import PromptError

if TYPE_CHECKING:
    from echo_index.retriever.tuning.calibration import Calibration, Choice, Prompts

_MAX_ROWS = 12
_PASSAGES_PER_QUESTION = 3


def calibrate_index(
    index_dir: Path,
    options: EncoderOptions,
    *,
    questions: int,
    extra_prompts: tuple[str | None, str | None] | None,
    file: Path,
    out: Console,
    err: Console,
    notice: Callable[[str], None],
) -> None:
    """Find the settings with which a model ranks the passages of an index best, print them and write a profile.

    Raises:
        IndexMissing: there is no index.
        IndexDamaged: the index cannot be read.
        ModelError: the model cannot be read.
        PromptError: only one of the two additional prompts is given.
        SourceError: the index has too few passages, or the profile cannot be written.
    """
    from echo_index.indexer.building.built_with import read_built_with
    from echo_index.indexer.catalog.chunk_queries import sample_chunks
    from echo_index.indexer.generations.snapshot import open_snapshot
    from echo_index.retriever.tuning.calibration import calibrate
    from echo_index.retriever.tuning.inverse_cloze import SourcePassage

    also = None if extra_prompts is None else _make_prompts(*extra_prompts)
    snapshot = open_snapshot(index_dir, index_device="cpu", notice=notice)
    before = read_built_with(index_dir)
    chunk_tokens = before.chunking.max_tokens if before else 0
    encoder = open_encoder(options, before=before, chunk_tokens=chunk_tokens, notice=notice)
    sample = sample_chunks(
        snapshot.catalog, generation=snapshot.manifest.generation, most=_PASSAGES_PER_QUESTION * questions
    )
    passages = [SourcePassage(path, text) for _, path, text in sample]
    with WorkProgress(err) as progress:
        result = calibrate(
            encoder,
            passages,
            queries=questions,
            extra_prompts=also,
            progress=lambda prompt, done, total: progress.show(_one_line(prompt), done, total),
        )
    for line in _prompt_lines(result):
        out.print(line, soft_wrap=True)
    out.print(_make_table(result))
    chosen, layer = result.chosen, _layer_text(result.chosen.choice)
    score = f"MRR {100 * chosen.mrr:.1f} over {result.queries} pseudo-questions among {result.passages} passages"
    change = "unchanged" if chosen is result.before else f"before: {100 * result.before.mrr:.1f}"
    out.print(f"Chosen: layer {layer}, {score} ({change}).", soft_wrap=True)
    write_profile(
        file,
        chosen.choice,
        model=encoder.model.name,
        layer=layer,
        instruction=encoder.instruction,
        comment=f"echo-index calibrate: {score}.",
    )
    out.print(f"Written to {file}. To use it: echo-index build --rebuild --profile {file} FOLDER", soft_wrap=True)


def _make_prompts(document: str | None, query: str | None) -> Prompts:
    from echo_index.retriever.tuning.calibration import Prompts

    if document is None or query is None:
        raise PromptError(
            "Only one of the two prompts is given.", remedy="Give both --document-prompt and --query-prompt."
        )
    return Prompts(document, query)


def _make_table(result: Calibration) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("layer", "pooling", "prompts"):
        table.add_column(name)
    for name in ("MRR x100", "raw"):
        table.add_column(name, justify="right")
    numbers = _number_prompts(result)
    shown = list(result.trials[:_MAX_ROWS])
    for trial in shown if result.before in shown else [*shown, result.before]:
        table.add_row(
            _layer_text(trial.choice),
            trial.choice.pooling.value,
            str(numbers[trial.choice.prompts]),
            f"{100 * trial.mrr:.1f}",
            f"{100 * trial.raw:.1f}",
            style="bold" if trial is result.chosen else None,
        )
    return table


def _number_prompts(result: Calibration) -> dict[Prompts, int]:
    """Return the prompts that were tried, numbered from 1; those of the index come first."""
    prompts = dict.fromkeys([result.before.choice.prompts, *(trial.choice.prompts for trial in result.trials)])
    return {pair: number for number, pair in enumerate(prompts, start=1)}


def _prompt_lines(result: Calibration) -> list[str]:
    return [f"prompts {number}: {_one_line(prompts.document)}" for prompts, number in _number_prompts(result).items()]


def _one_line(prompt: str) -> str:
    return " ".join(prompt.split())


def _layer_text(choice: Choice) -> str:
    return "+".join(map(str, choice.views))
