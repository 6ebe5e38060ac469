"""Sum up the answers of a writer: shares x100 with confidence intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from echo_index.retriever.answer_evaluation.answer_runner import AnswerRecord
from echo_index.retriever.evaluation.metrics import Estimate, mean_estimate


@dataclass(frozen=True, slots=True)
class Measure:
    """A mean over some of the answers, and how many these are; no estimate if there are none."""

    name: str
    group: str
    """Which answers are counted."""
    count: int
    estimate: Estimate | None


@dataclass(frozen=True)
class WriterResult:
    """All answers of one writer and their measures."""

    writer: str
    records: tuple[AnswerRecord, ...]
    measures: tuple[Measure, ...]
    first_word_seconds: float
    """Median over the answers with text; `seconds` is the median until their end."""
    seconds: float


@dataclass(frozen=True)
class AnswerReport:
    """The results of all writers on the same questions."""

    name: str
    source: str
    documents: int
    passages: int
    """In the index."""
    passages_given: int | None
    """To a writer, at most; None if the questions decided."""
    questions: int
    writers: tuple[WriterResult, ...]


GROUPS = {
    "all": "of all questions",
    "retrieved": "with the document among the passages",
    "answered": "of the answers to these",
    "removed": "with the right documents taken out",
}
"""Groups of answers, and what the report calls them."""


def summarize(writer: str, records: Sequence[AnswerRecord]) -> WriterResult:
    """Return the measures of a writer's answers."""
    given = [record for record in records if not record.documents_removed]
    removed = [record for record in records if record.documents_removed]
    retrieved = [record for record in given if record.right_retrieved]
    answered = [record for record in retrieved if record.outcome == "answered"]
    by_group = {"all": given, "retrieved": retrieved, "answered": answered, "removed": removed}
    measures = tuple(
        _measure(name, group, by_group[group], value) for group, names in _MEASURES.items() for name, value in names
    )
    timed = [record for record in records if record.written.strip()]
    return WriterResult(
        writer,
        tuple(records),
        measures,
        first_word_seconds=median(record.first_word_seconds for record in timed) if timed else 0.0,
        seconds=median(record.seconds for record in timed) if timed else 0.0,
    )


def _measure(name: str, group: str, records: Sequence[AnswerRecord], value: Callable[[AnswerRecord], float]) -> Measure:
    values = [100 * float(value(record)) for record in records]
    return Measure(name, group, len(values), mean_estimate(values) if values else None)


def _is_wrong(record: AnswerRecord) -> bool:
    return record.outcome == "answered" and not record.holds_gold


def _was_rightly_written(record: AnswerRecord) -> bool:
    return record.outcome == "withdrawn" and record.written_holds_gold


_OUTCOMES: tuple[tuple[str, Callable[[AnswerRecord], float]], ...] = (
    ("gold answer held", lambda record: record.holds_gold),
    ("wrong", _is_wrong),
    ("refused by the writer", lambda record: record.outcome == "refused"),
    ("withdrawn by the checks", lambda record: record.outcome == "withdrawn"),
    ("… although it held the gold answer", _was_rightly_written),
    ("exact match", lambda record: record.exact_match),
    ("F1", lambda record: record.f1),
)
_MEASURES: dict[str, tuple[tuple[str, Callable[[AnswerRecord], float]], ...]] = {
    "all": (("document among the passages", lambda record: record.right_retrieved), *_OUTCOMES),
    "retrieved": _OUTCOMES,
    "answered": (
        ("cites the right document", lambda record: record.cited_right > 0),
        ("citations that are right", lambda record: record.cited_right / max(1, len(record.cited))),
    ),
    "removed": (
        ("told that nothing was found", lambda record: record.outcome != "answered"),
        ("… by the writer", lambda record: record.outcome == "refused"),
        ("… by the checks", lambda record: record.outcome == "withdrawn"),
    ),
}
