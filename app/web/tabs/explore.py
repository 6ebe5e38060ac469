"""The tab Explore: a map of the passages, a question as a point on it, the documents, and what is odd in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from echo_index.app.defaults import DEFAULTS
from echo_index.app.services.formatting import pluralize
from echo_index.app.services.index_service import IndexService
from echo_index.app.web.error_html import error_html, show_errors
from echo_index.app.web.hit_cards import hit_cards
from echo_index.app.web.html import button, escape_html, notice
from echo_index.app.web.map_svg import map_svg
from echo_index.app.web.theme import acting_html
from echo_index.errors import EchoIndexError
from echo_index.indexer.inspection.corpus_survey import find_corpus_issues, map_corpus
from echo_index.indexer.inspection.document_queries import find_passage, list_documents

if TYPE_CHECKING:
    from echo_index.indexer.catalog.records import StoredChunk
    from echo_index.indexer.generations.snapshot import Snapshot
    from echo_index.indexer.inspection.corpus_survey import CorpusIssues, CorpusMap
    from echo_index.indexer.inspection.document_queries import ListedDocument
    from echo_index.retriever.search.retriever import Retriever

_NEIGHBOURS = 8
_MOST_ROWS = 10_000
_MOST_SHOWN = 20  # of each kind of oddity
_HEADERS = ["Document", "Title", "Format", "Passages", "Size (kB)", "State"]
_WAITING = notice("The map is drawn when this tab is opened.", kind="empty")


class ExploreTab:
    """What stands in the tab; `places` hold passages that can be opened."""

    def __init__(self, service: IndexService) -> None:
        self._service = service
        with gr.Row(equal_height=True, elem_classes="ask-row"):
            question = gr.Textbox(
                value="",
                label="Question",
                placeholder="Show a question on the map, with the passages nearest to it",
                elem_id="explore-question",
                max_length=DEFAULTS.longest_question,
                scale=8,
            )
            go = gr.Button("Show", variant="primary", scale=1, min_width=110)
        map_html = acting_html(_WAITING, elem_id="map", label="Map")
        neighbours = acting_html(elem_id="neighbours", label="Neighbours")
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
        with gr.Accordion("What is odd", open=False) as odd_part:
            odd = acting_html(elem_id="oddities", label="Oddities")
        self.places = [map_html, neighbours, odd]
        gr.on(
            [go.click, question.submit],
            self._show,
            question,
            [map_html, neighbours],
            show_progress="minimal",
            api_visibility="private",
        )
        # It takes seconds in a large index: only for those who want to know.
        odd_part.expand(self._odd, None, odd, show_progress="minimal", api_visibility="private")
        self.opened = ([question], [map_html, neighbours, self.documents])

    def refresh(self, question: str) -> tuple[str, str, list[list[Any]]]:
        """Return the map, the neighbours and the documents of the index as it is now."""
        return *self._show(question), self._rows()

    def _show(self, question: str) -> tuple[str, str]:
        try:
            return self._service.with_retriever(lambda retriever: _drawn(retriever, question))
        except EchoIndexError as error:
            return error_html(error), ""

    def _rows(self) -> list[list[Any]]:
        try:
            documents = self._service.with_snapshot(list_documents)
        except EchoIndexError:
            return []
        return [document_row(document) for document in documents[:_MOST_ROWS]]

    @show_errors
    def _odd(self) -> str:
        return self._service.with_snapshot(lambda snapshot: oddities_view(find_corpus_issues(snapshot)))


def document_row(document: ListedDocument) -> list[Any]:
    """Return what the table says of a document."""
    state = document.failure or ("no passages" if not document.passages else "indexed")
    size = round(document.size / 1000, 1)
    return [document.path, document.title, document.format, document.passages, size, state]


def _drawn(retriever: Retriever, question: str) -> tuple[str, str]:
    if not question.strip():
        return map_svg(retriever.with_snapshot(map_corpus)), ""
    hits = retriever.search(question, k=_NEIGHBOURS, mode="dense")

    def draw(snapshot: Snapshot) -> tuple[CorpusMap, set[int]]:
        found = [find_passage(snapshot, hit.source, hit.start) for hit in hits]
        near = {passage.id for passage in found if passage}
        return map_corpus(snapshot, also=sorted(near)), near

    drawn, near = retriever.with_snapshot(draw)
    [point] = drawn.project(retriever.project_query(question)[None, :]).tolist()
    head = '<p class="head">The passages nearest to the question, by meaning</p>'
    return map_svg(drawn, question=(question, (point[0], point[1])), near=near), head + hit_cards(
        hits, retriever.highlight(question, hits)
    )


def oddities_view(odd: CorpusIssues) -> str:
    """Return what is odd in an index: texts that stand twice, passages that say nothing, files that failed."""
    parts = []
    if odd.failed:
        rows = "".join(
            f"<li><b>{escape_html(path)}</b>: {escape_html(reason)}</li>" for path, reason in odd.failed[:_MOST_SHOWN]
        )
        parts.append(_group(f"{pluralize(len(odd.failed), 'file')} could not be read", rows, len(odd.failed)))
    if odd.near_duplicates:
        rows = "".join(
            f"<li>{_link(pair.first)} and {_link(pair.second)} <small>{_alike(pair.cosine)}</small>"
            f'<p class="passage" dir="auto">{escape_html(_short(pair.first))}</p></li>'
            for pair in odd.near_duplicates[:_MOST_SHOWN]
        )
        title = f"{pluralize(len(odd.near_duplicates), 'pair')} of passages that say the same"
        parts.append(_group(title, rows, len(odd.near_duplicates)))
    if odd.short:
        rows = "".join(f"<li>{_link(found)}: “{escape_html(_short(found))}”</li>" for found in odd.short[:_MOST_SHOWN])
        parts.append(
            _group(f"{pluralize(len(odd.short), 'passage')} with next to nothing in them", rows, len(odd.short))
        )
    if odd.looked_at < odd.total:
        parts.append(f'<p class="head">{odd.looked_at:,} of {odd.total:,} passages were looked at for the like.</p>')
    return "".join(parts) or notice("Nothing odd was found.", kind="empty")


def _group(title: str, rows: str, count: int) -> str:
    more = f"<li>and {count - _MOST_SHOWN:,} more</li>" if count > _MOST_SHOWN else ""
    return f'<section class="odd"><h3>{title}</h3><ul>{rows}{more}</ul></section>'


def _link(found: StoredChunk) -> str:
    spot = (
        f", line {found.chunk.line}" if found.chunk.line else f", page {found.chunk.page}" if found.chunk.page else ""
    )
    return button(f"{found.path}{spot}", "open", source=found.path, start=found.chunk.start)


def _alike(cosine: float) -> str:
    return "word for word" if cosine >= 1.0 else f"cosine {cosine:.3f}"


def _short(found: StoredChunk) -> str:
    text = " ".join(found.chunk.text.split())
    return text if len(text) <= 160 else f"{text[:160]} …"
