"""Records as JSON. The keys are a contract with programs: where a field has a newer name, its key stays."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from echo_index.indexer.inspection.integrity_checks import Check
    from echo_index.retriever.evaluation.results import DatasetResult
    from echo_index.retriever.rag.citations import Answer
    from echo_index.retriever.search.hits import Hit


def hit_fields(hit: Hit) -> dict[str, Any]:
    """Return the JSON object of a hit."""
    return _with_key(asdict(hit), duplicates="alike")


def answer_fields(answer: Answer) -> dict[str, Any]:
    """Return the JSON object of an answer."""
    return {
        **asdict(answer),
        "citations": [{"number": each.number, "hit": hit_fields(each.hit)} for each in answer.citations],
        "passages": [hit_fields(hit) for hit in answer.passages],
    }


def check_fields(check: Check) -> dict[str, Any]:
    """Return the JSON object of an integrity check."""
    return _with_key(asdict(check), repaired="mended")


def dataset_fields(result: DatasetResult) -> dict[str, Any]:
    """Return the JSON object of what was measured on a data set."""
    return {**asdict(result), "rows": [_with_key(asdict(row), description="told") for row in result.rows]}


def _with_key(fields: dict[str, Any], **keys: str) -> dict[str, Any]:
    """Rename fields to their JSON keys, in the same order."""
    return {keys.get(name, name): value for name, value in fields.items()}
