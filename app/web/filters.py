"""The filters by folder and by format, filled with what the index holds, and how many hits are reranked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import gradio as gr

from echo_index.app.services.index_service import IndexService
from echo_index.errors import EchoIndexError
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.inspection.document_queries import list_documents

if TYPE_CHECKING:
    from echo_index.indexer.inspection.document_queries import ListedDocument

_MOST_FOLDERS = 500
_RERANKED = (10, 20, 50)


class FilterChoices:
    """Two dropdowns; `refresh` fills them."""

    def __init__(self, service: IndexService) -> None:
        self._service = service
        with gr.Row():
            self.folders = gr.Dropdown([], label="Only in these folders", multiselect=True, scale=2)
            self.formats = gr.Dropdown([], label="Only these formats", multiselect=True, scale=1)

    def refresh(self) -> tuple[Any, Any]:
        """Return both dropdowns with what the index holds now."""
        try:
            documents = self._service.with_snapshot(list_documents)
        except EchoIndexError:
            documents = []
        folders, formats = _folders(documents), Counter(found.format for found in documents if not found.failure)
        return (
            gr.Dropdown([(f"{folder} ({count})", folder) for folder, count in folders]),
            gr.Dropdown([(f"{name} ({count})", name) for name, count in formats.most_common()]),
        )


def rerank_choice() -> gr.Dropdown:
    """Return the choice of how many of the best hits are reranked; 0 is none of them."""
    amounts = [("None", 0), *((f"Best {amount}", amount) for amount in _RERANKED)]
    return gr.Dropdown(amounts, value=0, label="Rerank (slower)", scale=1)


def make_filter(folders: Sequence[str], formats: Sequence[str]) -> SearchFilter:
    """Return the filter for folders and all that is below them, and for formats."""
    return SearchFilter(paths=tuple(f"{_literally(folder)}/*" for folder in folders), formats=tuple(formats))


def _folders(documents: Sequence[ListedDocument]) -> list[tuple[str, int]]:
    """Return the folders with how many documents are below each, in order."""
    counts = Counter(
        str(parent)
        for document in documents
        if not document.failure
        for parent in PurePosixPath(document.path).parents
        if str(parent) not in (".", "/")
    )
    return sorted(counts.items())[:_MOST_FOLDERS]


def _literally(folder: str) -> str:
    """Return a glob that stands for exactly this text."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in folder)
