"""Run the rows and compute the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.encode.engines import PEAK_OPERATIONS
from benchmarks.encode.figures import Figures, fidelity, median_ratio, operations_per_second, share_of_peak
from benchmarks.encode.processes import RowProcess
from benchmarks.encode.rounds import Seconds, embed_once, time_rows, vectors_file
from benchmarks.encode.rows import FP32_PEAK, INT8_PEAK, PLAIN, ROWS
from benchmarks.encode.subject import TIMED, Subject
from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.retriever.evaluation.metrics import spearman


@dataclass(frozen=True)
class Report:
    """Result of a benchmark run."""

    model: str
    layer: int
    linear_weights: int
    lengths: dict[str, list[int]]
    peaks: dict[str, float]
    """Operations per second."""
    corpora: dict[str, list[Figures]]
    sts: dict[str, tuple[float, float]]
    """Spearman's correlation x100 of each row: raw, mean removed."""
    failed: dict[str, str]
    """Reasons of rows without figures."""


def measure(
    processes: dict[str, RowProcess],
    subject: Subject,
    failed: dict[str, str],
    *,
    rounds: int,
    scores: Sequence[float],
    folder: Path,
    say: Callable[[str], None],
) -> Report:
    """Time the rows, let them embed the STS pairs if there are scores, and return the report."""
    seconds, stopped = time_rows(processes, TIMED, rounds=rounds, folder=folder, say=say)
    failed = {**failed, **stopped}
    peaks = {
        peak: operations_per_second(PEAK_OPERATIONS, [value for corpus in TIMED for value in seconds[peak][corpus]])
        for peak in (FP32_PEAK, INT8_PEAK)
        if peak in seconds
    }
    sts: dict[str, tuple[float, float]] = {}
    if scores:
        embedding = {row: processes[row] for row in seconds if ROWS[row].gives != "nothing"}
        embedded, stopped = embed_once(embedding, "sts", folder=folder, say=say)
        failed |= {f"{row} on the STS pairs": reason for row, reason in stopped.items()}
        for row in embedded:
            vectors = np.load(vectors_file(folder, row, "sts"))
            sts[row] = (_correlation(vectors, scores), _correlation(vectors - vectors.mean(axis=0), scores))
    return Report(
        model=subject.model,
        layer=subject.layer,
        linear_weights=subject.linear_weights,
        lengths=subject.lengths,
        peaks=peaks,
        corpora={
            corpus: [
                _figures(row, corpus, processes[row], subject, seconds, peaks, folder)
                for row in seconds
                if ROWS[row].gives != "nothing"
            ]
            for corpus in TIMED
        },
        sts=sts,
        failed=failed,
    )


def _figures(
    row: str,
    corpus: str,
    process: RowProcess,
    subject: Subject,
    seconds: Seconds,
    peaks: dict[str, float],
    folder: Path,
) -> Figures:
    is_echo = ROWS[row].gives == "echo"
    has_plain = PLAIN in seconds
    own = seconds[row][corpus]
    compared = None
    if is_echo and has_plain:
        plain = np.load(vectors_file(folder, PLAIN, corpus))
        compared = fidelity(np.load(vectors_file(folder, row, corpus)), plain)

    def share(peak: str) -> float | None:
        if not is_echo or peak not in peaks:
            return None
        return share_of_peak(
            tokens=process.tokens[corpus], weights=subject.linear_weights, seconds=own, peak=peaks[peak]
        )

    return Figures(
        row=row,
        about=process.about,
        texts=len(subject.corpora[corpus]),
        tokens=process.tokens[corpus],
        seconds=own,
        ratio=median_ratio(seconds[PLAIN][corpus], own) if has_plain else None,
        fidelity=compared,
        of_fp32_peak=share(FP32_PEAK),
        of_int8_peak=share(INT8_PEAK) if ROWS[row].is_int8 else None,
    )


def _correlation(vectors: Vectors, scores: Sequence[float]) -> float:
    """Return Spearman's correlation x100 of scores and cosines; `vectors` has all first sentences, then all second."""
    first, second = np.split(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), 2)
    return spearman((first * second).sum(axis=1).tolist(), scores)
