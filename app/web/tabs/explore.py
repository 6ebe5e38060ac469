"""The Explore tab: a map of the passages, a question on it, a table of documents, and possible problems in them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gradio as gr

from echo_index.app.services.formatting import location_text, pluralize
from echo_index.app.services.index_service import IndexService
from echo_index.app.web.collection_choice import collection_input
from echo_index.app.web.error_html import error_html, show_errors
from echo_index.app.web.hit_cards import hit_cards, texts_before_hits
from echo_index.app.web.html import button, escape_html, notice
from echo_index.app.web.map_svg import map_svg
from echo_index.app.web.passage_data import passage_data
from echo_index.app.web.tabs.query_row import query_row
from echo_index.app.web.theme import interactive_html
from echo_index.errors import EchoIndexError
from echo_index.indexer.inspection.corpus_survey import find_corpus_issues, map_corpus
from echo_index.indexer.inspection.document_queries import find_passage, list_documents
from echo_index.retriever.search.hits import Hit

if TYPE_CHECKING:
    from echo_index.indexer.catalog.records import StoredChunk
    from echo_index.indexer.generations.snapshot import Snapshot
    from echo_index.indexer.inspection.corpus_survey import CorpusIssues, CorpusMap
    from echo_index.indexer.inspection.document_queries import ListedDocument
    from echo_index.retriever.search.retriever import Retriever

_NEIGHBOURS = 8
_MAX_ROWS = 10_000
_MAX_ISSUES = 20  # of each kind
_HEADERS = ["Document", "Title", "Format", "Passages", "Size (kB)", "State"]
_WAITING = notice("The map is drawn when this tab is opened.", kind="empty")


class ExploreTab:
    """The components of the tab; passages in `panels` can be opened."""

    def __init__(self, service: IndexService) -> None:
        self._service = service
        question, go = query_row(
            "Show",
            elem_id="explore-question",
            placeholder="Show a question on the map, with the passages nearest to it",
        )
        self.collection = collection_input(service, elem_id="explore-collection")
        map_html = interactive_html(_WAITING, elem_id="map", label="Map")
        neighbours = interactive_html(elem_id="neighbours", label="Neighbours")
        with gr.Accordion("Documents", open=False):
            self.documents = gr.Dataframe(
                headers=_HEADERS,
                datatype=["str", "str", "str", "number", "number", "str"],
                type="array",
                interactive=False,
                show_search="filter",
                max_height=420,
                wrap=True,
                label="Documents of the index; press one to open it",
                elem_id="documents",
            )
        with gr.Accordion("Possible problems", open=False) as issues_section:
            issues = interactive_html(elem_id="oddities", label="Possible problems")
        self.panels = [map_html, neighbours, issues]
        gr.on(
            [go.click, question.submit],
            self._show,
            [self.collection, question],
            [map_html, neighbours],
            show_progress="minimal",
            api_visibility="private",
        )
        # Computed only on request: it takes seconds in a large index.
        issues_section.expand(self._issues, self.collection, issues, show_progress="minimal", api_visibility="private")
        self.refresh_event = ([self.collection, question], [map_html, neighbours, self.documents])
        inputs, outputs = self.refresh_event
        self.collection.input(
            self._choose,
            [*inputs, issues],
            [*outputs, issues],
            trigger_mode="always_last",
            show_progress="minimal",
            api_visibility="private",
        )

    def refresh(self, collection: str, question: str) -> tuple[str, str, list[list[Any]]]:
        """Return the map, the neighbours of the question and the table of documents for the current index."""
        return *self._show(collection, question), self._document_rows(collection)

    def _choose(self, collection: str, question: str, issues: str) -> tuple[str, str, list[list[Any]], str]:
        """Return what `refresh` does for another collection, and its possible problems if they were shown before."""
        return *self.refresh(collection, question), self._issues(collection) if issues else ""

    def _show(self, collection: str, question: str) -> tuple[str, str]:
        shown = self._service.shown(collection)
        try:
            return self._service.with_retriever(
                lambda retriever: _draw_map(self._service, retriever, question, collection=shown), collection=collection
            )
        except EchoIndexError as error:
            return error_html(error), ""

    def _document_rows(self, collection: str) -> list[list[Any]]:
        try:
            documents = self._service.with_snapshot(list_documents, collection=collection)
        except EchoIndexError:
            return []
        return [document_row(document) for document in documents[:_MAX_ROWS]]

    @show_errors
    def _issues(self, collection: str) -> str:
        shown = self._service.shown(collection)
        return self._service.with_snapshot(
            lambda snapshot: issues_html(find_corpus_issues(snapshot), collection=shown), collection=collection
        )


def document_row(document: ListedDocument) -> list[Any]:
    """Return the row of a document in the table."""
    state = document.failure or ("no passages" if not document.passages else "indexed")
    size = round(document.size / 1000, 1)
    return [document.path, document.title, document.format, document.passages, size, state]


def _draw_map(service: IndexService, retriever: Retriever, question: str, *, collection: str) -> tuple[str, str]:
    if not question.strip():
        return map_svg(retriever.with_snapshot(map_corpus), collection=collection), ""
    hits = retriever.search(question, k=_NEIGHBOURS, mode="dense")

    def draw(snapshot: Snapshot) -> tuple[CorpusMap, set[int]]:
        passages = [find_passage(snapshot, hit.source, hit.start) for hit in hits]
        near = {passage.id for passage in passages if passage}
        return map_corpus(snapshot, also=sorted(near)), near

    corpus, near = retriever.with_snapshot(draw)
    [point] = corpus.project(retriever.project_query(question)[None, :]).tolist()
    head = '<p class="head">Passages nearest to the question by meaning</p>'
    hits = [replace(hit, collection=collection) for hit in retriever.highlight(question, hits)]
    drawn = map_svg(corpus, question=(question, (point[0], point[1])), near=near, collection=collection)
    return drawn, head + hit_cards(hits, texts_before=texts_before_hits(service, hits))


def issues_html(issues: CorpusIssues, *, collection: str = "") -> str:
    """Return the unreadable files, near-duplicates and almost empty passages of an index.

    `collection` is the name of the index if there are several.
    """

    def link(passage: StoredChunk) -> str:
        opened = passage_data(passage.path, passage.chunk.start, collection=collection)
        return button(location_text(Hit.of(passage).location), "open", **opened)

    parts = []
    if issues.failed:
        rows = "".join(
            f"<li><b>{escape_html(path)}</b>: {escape_html(reason)}</li>"
            for path, reason in issues.failed[:_MAX_ISSUES]
        )
        parts.append(
            _issue_group(f"{pluralize(len(issues.failed), 'file')} could not be read", rows, len(issues.failed))
        )
    if issues.near_duplicates:
        rows = "".join(
            f"<li>{link(pair.first)} and {link(pair.second)} <small>{_similarity_text(pair.cosine)}</small>"
            f'<p class="passage" dir="auto">{escape_html(_excerpt(pair.first))}</p></li>'
            for pair in issues.near_duplicates[:_MAX_ISSUES]
        )
        title = f"{pluralize(len(issues.near_duplicates), 'pair')} of near-duplicate passages"
        parts.append(_issue_group(title, rows, len(issues.near_duplicates)))
    if issues.short:
        rows = "".join(
            f"<li>{link(passage)}: “{escape_html(_excerpt(passage))}”</li>" for passage in issues.short[:_MAX_ISSUES]
        )
        parts.append(
            _issue_group(f"{pluralize(len(issues.short), 'passage')} with almost no text", rows, len(issues.short))
        )
    if issues.looked_at < issues.total:
        parts.append(
            f'<p class="head">{issues.looked_at:,} of {issues.total:,} passages were checked for near-duplicates.</p>'
        )
    return "".join(parts) or notice("No problems were found.", kind="empty")


def _issue_group(title: str, rows: str, count: int) -> str:
    more = f"<li>and {count - _MAX_ISSUES:,} more</li>" if count > _MAX_ISSUES else ""
    return f'<section class="odd"><h3>{title}</h3><ul>{rows}{more}</ul></section>'


def _similarity_text(cosine: float) -> str:
    return "identical" if cosine >= 1.0 else f"cosine {cosine:.3f}"


def _excerpt(passage: StoredChunk) -> str:
    text = " ".join(passage.chunk.text.split())
    return text if len(text) <= 160 else f"{text[:160]} …"
