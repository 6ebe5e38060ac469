"""Calibration from the command line: reads an index, tells how far it is, prints what did best, writes a profile."""

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

_SHOWN = 12  # rows of the table
_PASSAGES = 3  # times as many as questions


def calibrate_index(
    index_dir: Path,
    options: EncoderOptions,
    *,
    questions: int,
    tried: tuple[str | None, str | None] | None,
    file: Path,
    out: Console,
    err: Console,
    notice: Callable[[str], None],
) -> None:
    """Find what ranks the passages of an index best with a model, print it and write it to a profile.

    Raises:
        IndexMissing, IndexDamaged: there is no index that can be read.
        ModelError: the model cannot be read.
        PromptError: one of two new prompts is missing.
        SourceError: the index has too few passages, or the profile cannot be written.
    """
    from echo_index.indexer.building.build_session import read_built_with
    from echo_index.indexer.catalog.chunk_queries import sample_chunks
    from echo_index.indexer.generations.snapshot import open_snapshot
    from echo_index.retriever.tuning.calibration import calibrate
    from echo_index.retriever.tuning.inverse_cloze import SourcePassage

    also = None if tried is None else _both(*tried)
    snapshot = open_snapshot(index_dir, index_device="cpu", notice=notice)
    before = read_built_with(index_dir)
    chunk_tokens = before.chunking.max_tokens if before else 0
    encoder = open_encoder(options, before=before, chunk_tokens=chunk_tokens, notice=notice)
    sample = sample_chunks(snapshot.catalog, generation=snapshot.manifest.generation, most=_PASSAGES * questions)
    passages = [SourcePassage(path, text) for _, path, text in sample]
    with WorkProgress(err) as progress:
        found = calibrate(
            encoder,
            passages,
            queries=questions,
            also=also,
            progress=lambda prompt, done, total: progress.show(_one_line(prompt), done, total),
        )
    for line in _told_prompts(found):
        out.print(line, soft_wrap=True)
    out.print(_table(found))
    chosen, layer = found.chosen, _layer(found.chosen.choice)
    told = f"MRR {100 * chosen.mrr:.1f} over {found.queries} pseudo-questions among {found.passages} passages"
    why = "kept" if chosen is found.before else f"before: {100 * found.before.mrr:.1f}"
    out.print(f"Chosen: layer {layer}, {told} ({why}).", soft_wrap=True)
    write_profile(file, chosen.choice, model=encoder.model.name, layer=layer, told=f"echo-index calibrate: {told}.")
    out.print(f"Written to {file}. To use it: echo-index build --rebuild --profile {file} FOLDER", soft_wrap=True)


def _both(document: str | None, query: str | None) -> Prompts:
    from echo_index.retriever.tuning.calibration import Prompts

    if document is None or query is None:
        raise PromptError(
            "A prompt is tried with its counterpart.", remedy="Give --document-prompt and --query-prompt."
        )
    return Prompts(document, query)


def _table(found: Calibration) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("layer", "pooling", "prompts"):
        table.add_column(name)
    for name in ("MRR x100", "raw"):
        table.add_column(name, justify="right")
    numbers = _numbered_prompts(found)
    shown = list(found.trials[:_SHOWN])
    for trial in shown if found.before in shown else [*shown, found.before]:
        table.add_row(
            _layer(trial.choice),
            trial.choice.pooling.value,
            str(numbers[trial.choice.prompts]),
            f"{100 * trial.mrr:.1f}",
            f"{100 * trial.raw:.1f}",
            style="bold" if trial is found.chosen else None,
        )
    return table


def _numbered_prompts(found: Calibration) -> dict[Prompts, int]:
    """Return the prompts that were tried and their numbers, those of before first."""
    tried = dict.fromkeys([found.before.choice.prompts, *(trial.choice.prompts for trial in found.trials)])
    return {prompts: number for number, prompts in enumerate(tried, start=1)}


def _told_prompts(found: Calibration) -> list[str]:
    return [f"prompts {number}: {_one_line(each.document)}" for each, number in _numbered_prompts(found).items()]


def _one_line(prompt: str) -> str:
    return " ".join(prompt.split())


def _layer(choice: Choice) -> str:
    return "+".join(map(str, choice.views))
