"""Inputs for filters by collection, folder, format, date, fields and relevance, and for reranking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from echo_index.app.services.index_service import IndexService
from echo_index.app.web.collection_choice import collections_input
from echo_index.app.web.search_parameters import HIGHEST_MIN_SCORE, RERANK_COUNTS
from echo_index.errors import EchoIndexError, FilterError
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.inspection.document_queries import list_documents
from echo_index.indexer.storage.urls import folders_above

if TYPE_CHECKING:
    from gradio.events import Dependency

    from echo_index.indexer.inspection.document_queries import ListedDocument

_MAX_FOLDERS = 500


class FilterInputs:
    """Dropdowns for collections and their folders and formats, dates and a condition on fields.

    `inputs` are the values that `make_filter` takes, in its order. `changes` are the events after which to search
    again; so is `chosen`, that of another choice of collections, once their folders and formats are offered.
    `collections` is the dropdown for some of them or for one, a new one for some unless it is given.
    """

    def __init__(self, service: IndexService, *, collections: gr.Dropdown | None = None) -> None:
        self._service = service
        self.collections = collections_input(service) if collections is None else collections
        with gr.Row():
            self.folders = gr.Dropdown([], label="Only in these folders", multiselect=True, scale=2)
            self.formats = gr.Dropdown([], label="Only these formats", multiselect=True, scale=1)
        with gr.Row():
            self.since = gr.Textbox(label="Changed since", placeholder="2024-05, 7 days", max_lines=1, scale=1)
            self.before = gr.Textbox(label="Changed before", placeholder="2024-05-17", max_lines=1, scale=1)
            self.where = gr.Textbox(
                label="Where", placeholder='date >= 2024 and author contains "Ng"', max_lines=1, scale=2
            )
        self.inputs = [self.folders, self.formats, self.since, self.before, self.where]
        self.changes = [
            self.folders.input,
            self.formats.input,
            self.since.submit,
            self.before.submit,
            self.where.submit,
        ]
        self.chosen = self.refresh_after(self.collections.input)

    def refresh_after(self, event: Callable[..., Dependency]) -> Dependency:
        """Offer the present folders and formats after an event, and return it."""
        offered = [self.folders, self.formats]
        return event(
            self.refresh, [self.collections, *offered], offered, show_progress="hidden", api_visibility="private"
        )

    def refresh(
        self, collections: Sequence[str] | str | None, folders: Sequence[str] | None, formats: Sequence[str] | None
    ) -> tuple[Any, Any]:
        """Return both dropdowns with the folders and formats that the collections, or all, have now.

        Of those that were chosen, the ones that are gone are not chosen any more.
        """
        names = [collections] if isinstance(collections, str) else collections or ()
        known_folders, known_formats = self._counts(names)
        return _offer(known_folders, folders), _offer(known_formats, formats)

    def choose(
        self, collections: Sequence[str], folders: Sequence[str], formats: Sequence[str]
    ) -> tuple[Any, Any, Any]:
        """Return the dropdowns with these collections, folders and formats chosen.

        Raises:
            CollectionError: there is no such collection.
            FilterError: the collections have no such folder or format.
        """
        counts = self._counts(collections)
        for kind, chosen, known in zip(("folder", "format"), (folders, formats), counts, strict=True):
            for name in chosen:
                if name not in dict(known):
                    raise FilterError(
                        f"The index has no {kind} {name!r}.", remedy="Choose among those it has, under Filters."
                    )
        return (
            gr.Dropdown(value=[*collections], multiselect=True),
            gr.Dropdown(_labelled(counts[0]), value=[*folders], multiselect=True),
            gr.Dropdown(_labelled(counts[1]), value=[*formats], multiselect=True),
        )

    def _counts(self, collections: Sequence[str]) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
        """Return the folders and the formats of these collections, or of all, each with the number of documents."""
        documents = [document for name in self._service.chosen(collections) for document in self._documents(name)]
        formats = Counter(document.format for document in documents if not document.failure)
        return _count_folders(documents), formats.most_common()

    def _documents(self, collection: str) -> Sequence[ListedDocument]:
        try:
            return self._service.with_reader(list_documents, collection=collection)
        except EchoIndexError:
            return ()


def _labelled(counts: Sequence[tuple[str, int]]) -> list[tuple[str, str]]:
    return [(f"{name} ({count})", name) for name, count in counts]


def _offer(counts: Sequence[tuple[str, int]], chosen: Sequence[str] | None) -> Any:
    """Return a dropdown of names with their counts. The choice is sent only if it changes: a visitor may be at it."""
    choices = _labelled(counts)
    kept = [name for name in chosen or () if name in dict(counts)]
    return gr.Dropdown(choices) if len(kept) == len(chosen or ()) else gr.Dropdown(choices, value=kept)


def rerank_input() -> gr.Dropdown:
    """Return the dropdown for how many of the best hits are reranked; 0 disables reranking."""
    options = [(f"Best {count}" if count else "None", count) for count in RERANK_COUNTS]
    return gr.Dropdown(options, value=0, label="Rerank (slower)", scale=1)


def min_score_input() -> gr.Slider:
    """Return the slider for the least relevance; 0 shows all passages."""
    return gr.Slider(0, HIGHEST_MIN_SCORE, value=0, step=0.01, label="Least relevance (0: show all)", scale=2)


def make_filter(
    folders: Sequence[str], formats: Sequence[str], since: str = "", before: str = "", where: str = ""
) -> SearchFilter:
    """Return a filter for all documents below the folders, for the formats, for dates of files and for fields.

    Raises:
        FilterError: a date or the condition cannot be read.
    """
    return SearchFilter.parse(paths=folders, formats=formats, since=since, before=before, where=where)


def _count_folders(documents: Sequence[ListedDocument]) -> list[tuple[str, int]]:
    """Return (folder, number of documents below it), sorted by folder."""
    counts = Counter(
        folder for document in documents if not document.failure for folder in folders_above(document.path)
    )
    return sorted(counts.items())[:_MAX_FOLDERS]
