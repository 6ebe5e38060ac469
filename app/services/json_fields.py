"""Convert records to JSON objects. Programs depend on the keys, so a renamed field keeps its old key."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from echo_index.indexer.inspection.changed_files import FileChanges
    from echo_index.indexer.inspection.integrity_checks import Check
    from echo_index.retriever.evaluation.results import DatasetResult
    from echo_index.retriever.rag.citations import Answer
    from echo_index.retriever.search.hits import Hit


def hit_fields(hit: Hit) -> dict[str, Any]:
    """Return the JSON object of a hit. Page, line, place and headings are those of the answering sentence."""
    location = hit.location
    fields = {
        **asdict(hit),
        "page": location.page,
        "line": location.line,
        "place": location.place,
        "headings": location.headings,
    }
    del fields["anchors"]
    return _rename_keys(fields, duplicates="alike")


def answer_fields(answer: Answer) -> dict[str, Any]:
    """Return the JSON object of an answer."""
    return {
        **asdict(answer),
        "citations": [{"number": citation.number, "hit": hit_fields(citation.hit)} for citation in answer.citations],
        "passages": [hit_fields(hit) for hit in answer.passages],
    }


def change_fields(changes: Iterable[FileChanges | None]) -> dict[str, Any] | None:
    """Return the JSON object of the changes since the last builds of all indexes, None if they are not all known."""
    every = [*changes]
    known = [found for found in every if found is not None]
    if not known or len(known) < len(every):
        return None
    return {
        "new": sum(found.new for found in known),
        "changed": sum(found.changed for found in known),
        "removed": sum(found.removed for found in known),
        "gone": [gone for found in known for gone in found.gone],
    }


def check_fields(check: Check) -> dict[str, Any]:
    """Return the JSON object of an integrity check."""
    return _rename_keys(asdict(check), repaired="mended")


def dataset_fields(result: DatasetResult) -> dict[str, Any]:
    """Return the JSON object of the results on one data set."""
    return {**asdict(result), "rows": [_rename_keys(asdict(row), description="told") for row in result.rows]}


def _rename_keys(fields: dict[str, Any], **new_names: str) -> dict[str, Any]:
    """Rename keys without changing their order."""
    return {new_names.get(name, name): value for name, value in fields.items()}
