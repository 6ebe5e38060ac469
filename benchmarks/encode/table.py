"""Format the figures as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from benchmarks.encode.figures import Figures

NOTES = """\
- tokens: input tokens without padding: the echo prompt with both text passes for plain and ours, the text with special
  tokens, by their own tokenizer, for the others
- tokens/s and texts/s: of the median round, (best) of the fastest
- × plain: seconds of plain on the same texts / seconds of the row, the median over the rounds
- cosine: with the vectors of plain; centred: after each side's mean was removed
- of a peak: 2 × tokens × weights of all linear layers up to the layer in use / seconds of the median round / peak;
  attention, norms, padding and higher layers do not count as work. The peak is the fastest round of a
  2048 × 2048 × 2048 multiplication in this run: in fp32 by the faster kernel of torch here, in int8 by torch._int_mm
- –: another kind of embedding, or not measured"""

_HEADER = (
    "row",
    "tokens/s (best)",
    "texts/s",
    "× plain",
    "cosine mean",
    "min",
    "centred mean",
    "min",
    "of fp32 peak",
    "of int8 peak",
)


def corpus_table(figures: Sequence[Figures]) -> str:
    """Return a table with one line for each row."""
    return _table(_HEADER, (_cells(row) for row in figures))


def sts_table(correlations: Mapping[str, tuple[float, float]]) -> str:
    """Return a table of the correlations (raw, mean removed) of each row."""
    lines = ([row, f"{raw:.2f}", f"{centred:.2f}"] for row, (raw, centred) in correlations.items())
    return _table(("row", "raw", "mean removed"), lines)


def failures(reasons: Mapping[str, str]) -> str:
    """Return one line for each row that failed."""
    return "\n".join(f"- {row} did not run: {reason}" for row, reason in reasons.items())


def _cells(row: Figures) -> Iterator[str]:
    yield row.row
    yield f"{row.tokens_per_second:,.0f} ({row.best_tokens_per_second:,.0f})"
    yield f"{row.texts_per_second:.1f}"
    yield _number(row.ratio, ".2f")
    compared = row.fidelity
    if compared is None:
        yield from ("–", "–", "–", "–")
    else:
        yield from (
            f"{compared.mean:.5f}",
            f"{compared.least:.5f}",
            f"{compared.centred_mean:.4f}",
            f"{compared.centred_least:.4f}",
        )
    yield from (_number(row.of_fp32_peak, ".0%"), _number(row.of_int8_peak, ".0%"))


def _number(figure: float | None, layout: str) -> str:
    return "–" if figure is None else format(figure, layout)


def _table(header: Sequence[str], lines: Iterable[Iterable[str]]) -> str:
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *lines))
