"""The Compare tab: a question searched by echo, classical and lexical search, and sentences compared by cosine."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from echo_index.app.services.formatting import heading_path, location_text
from echo_index.app.services.index_service import IndexService
from echo_index.app.web.collection_choice import collection_input
from echo_index.app.web.error_html import show_errors
from echo_index.app.web.filters import FilterInputs, make_filter
from echo_index.app.web.html import button, escape_html, notice
from echo_index.app.web.passage_data import passage_data
from echo_index.app.web.tabs.query_row import query_row
from echo_index.app.web.theme import interactive_html
from echo_index.retriever.search.comparison import compare, compare_sentences
from echo_index.retriever.search.retriever import Retriever

if TYPE_CHECKING:
    from echo_index.retriever.search.comparison import Comparison, PairSimilarity, Ranking
    from echo_index.retriever.search.hits import Hit

_HITS = 10  # of each ranking
_ROW_HEIGHT = 64  # pixels, as in the style sheet
_TITLES = {
    "classical": ("Classical", "reads once"),
    "echo": ("Echo", "reads twice"),
    "lexical": ("Words", "BM25"),
}
_WELCOME = notice(
    "One question, three ways to search.",
    remedy="Echo embeddings read each passage twice and classical embeddings once; the third way compares words.",
    kind="empty",
)
# Chosen because they show the effect clearly; with other sentences it is smaller or absent.
_EXAMPLES = [
    [
        "She loves summer but dislikes the heat.",
        "She dislikes the heat, although she loves summer.",
        "She loves summer and swims in the lake.",
    ],
    [
        "The company reported record sales but lost money.",
        "The company lost money in spite of record sales.",
        "The company reported record sales and opened ten new shops.",
    ],
    [
        "The plant in the kitchen needs water every day.",
        "Water the flower pot in the kitchen daily.",
        "The plant in the valley builds engines for trucks.",
    ],
]


class CompareTab:
    """The components of the tab; passages in `results` can be opened."""

    def __init__(self, service: IndexService) -> None:
        self._service = service
        question, go = query_row(
            "Compare",
            elem_id="compare-question",
            placeholder="Ask a question to compare the three rankings",
        )
        collection = collection_input(service, elem_id="compare-collection")
        with gr.Accordion("Filters", open=False):
            self.filters = FilterInputs(service, collections=collection)
        self.results = interactive_html(_WELCOME, elem_id="comparison", label="Comparison")
        compare_event: dict[str, Any] = {
            "fn": self._compare,
            "inputs": [collection, question, *self.filters.inputs],
            "outputs": self.results,
            "trigger_mode": "always_last",
            "concurrency_limit": 4,
            "show_progress": "minimal",
            "api_visibility": "private",
        }
        gr.on([go.click, question.submit, *self.filters.changes], **compare_event)
        self.filters.chosen.then(**compare_event)
        with gr.Accordion("Why reading twice helps", open=True):
            gr.Markdown(
                "A language model reads from left to right: when it reads the first words, it has not seen the last. "
                "Sentences with the same beginning therefore get similar embeddings, however they continue. In the "
                "second reading every word has seen the whole sentence."
            )
            with gr.Row():
                sentence = gr.Textbox(label="A sentence", value=_EXAMPLES[0][0], max_length=500)
                paraphrase = gr.Textbox(label="One that means the same", value=_EXAMPLES[0][1], max_length=500)
                same_start = gr.Textbox(label="One that begins the same", value=_EXAMPLES[0][2], max_length=500)
            measure = gr.Button("Measure", size="sm")
            similarities = gr.HTML(elem_id="similarities", apply_default_css=False)
            gr.Examples(_EXAMPLES, [sentence, paraphrase, same_start], label="Examples", api_visibility="private")
        gr.on(
            [measure.click, sentence.submit, paraphrase.submit, same_start.submit],
            self._measure,
            [collection, sentence, paraphrase, same_start],
            similarities,
            concurrency_limit=4,
            show_progress="minimal",
            api_visibility="private",
        )

    @show_errors
    def _compare(
        self,
        collection: str,
        question: str,
        folders: list[str],
        formats: list[str],
        since: str,
        before: str,
        where: str,
    ) -> str:
        if not question.strip():
            return _WELCOME
        search_filter = make_filter(folders, formats, since, before, where)
        shown = self._service.shown(collection)
        return self._service.with_retriever(
            lambda retriever: comparison_html(
                compare(retriever, question, k=_HITS, where=search_filter), collection=shown
            ),
            collection=collection,
        )

    @show_errors
    def _measure(self, collection: str, sentence: str, paraphrase: str, same_start: str) -> str:
        def measure(retriever: Retriever) -> str:
            normalizations = retriever.with_snapshot(lambda snapshot: snapshot.normalizations())
            pairs = compare_sentences(
                retriever.encoder, sentence, [paraphrase, same_start], normalizations=normalizations
            )
            return similarities_html(pairs, without_mean=normalizations is not None)

        return self._service.with_retriever(measure, collection=collection)


def comparison_html(comparison: Comparison, *, collection: str = "") -> str:
    """Return the rankings as columns, echo in the middle, with lines between the ranks of the same passage.

    `collection` is the name of the index if there are several.
    """
    rankings = {ranking.name: ranking for ranking in comparison.rankings}
    echo = rankings["echo"]
    classical, lexical = rankings.get("classical"), rankings["lexical"]
    parts = []
    if classical is not None:
        parts += [_column(classical, echo, collection), _lines(classical.hits, echo.hits)]
    parts += [_column(echo, echo, collection), _lines(echo.hits, lexical.hits), _column(lexical, echo, collection)]
    build = "echo-index build --compare" + (f" --index {shlex.quote(collection)}" if collection else "")
    warning = ""
    if comparison.is_among_hits:
        warning = notice(
            "The classical way ranks only what the other two find: the index has no classical embeddings.",
            remedy=f"To rank all passages by them: {build}",
            kind="warning",
        )
    elif comparison.without_classical:
        warning = notice(
            f"{comparison.without_classical:,} passages have no classical embeddings.",
            remedy=f"To include them: {build}",
            kind="warning",
        )
    return f'{warning}<div class="comparison">{"".join(parts)}</div>'


def _column(ranking: Ranking, echo: Ranking, collection: str) -> str:
    name, description = _TITLES[ranking.name]
    echo_ranks = {_key(hit): rank for rank, hit in enumerate(echo.hits, start=1)}
    rows = [
        _row(hit, rank, echo_ranks.get(_key(hit)), collection=collection, is_echo=ranking is echo)
        for rank, hit in enumerate(ranking.hits, start=1)
    ]
    body = "".join(rows) or '<li class="rank-row none">Nothing was found.</li>'
    return (
        f'<section class="ranking {ranking.name}"><h3>{name} <small>{description}</small></h3><ol>{body}</ol></section>'
    )


def _row(hit: Hit, rank: int, echo_rank: int | None, *, collection: str, is_echo: bool) -> str:
    label = f"{rank}. {heading_path(hit.title, hit.location.headings, separator=' › ') or hit.source}"
    opened = passage_data(hit.source, hit.start, collection=collection)
    link = button(label, "open", title=f"Open {location_text(hit.location)}", **opened)
    return (
        f'<li class="rank-row">{link}<span class="place">{escape_html(location_text(hit.location))}</span>'
        f"{'' if is_echo else _rank_change(rank, echo_rank)}</li>"
    )


def _rank_change(rank: int, echo_rank: int | None) -> str:
    """Return how far the rank of a passage is from its rank by echo."""
    if echo_rank is None:
        return '<span class="move new" title="not among the first ranks by echo">only here</span>'
    if rank == echo_rank:
        return '<span class="move same" title="the same rank by echo">=</span>'
    direction, arrow = ("up", "▲") if rank < echo_rank else ("down", "▼")
    return f'<span class="move {direction}" title="rank {echo_rank} by echo">{arrow}{abs(rank - echo_rank)}</span>'


def _lines(left: Sequence[Hit], right: Sequence[Hit]) -> str:
    """Draw a line from each passage on the left to the same passage on the right."""
    right_ranks = {_key(hit): rank for rank, hit in enumerate(right)}
    height = _ROW_HEIGHT * max(len(left), len(right), 1)
    lines = []
    for rank, hit in enumerate(left):
        if (other := right_ranks.get(_key(hit))) is not None:
            kind = "same" if other == rank else "crossed"
            first, last = _ROW_HEIGHT * rank + _ROW_HEIGHT // 2, _ROW_HEIGHT * other + _ROW_HEIGHT // 2
            lines.append(f'<path class="{kind}" d="M0 {first} C30 {first} 30 {last} 60 {last}"/>')
    size = f'viewBox="0 0 60 {height}" width="60" height="{height}"'
    return f'<svg class="moves" {size} aria-hidden="true">{"".join(lines)}</svg>'


def similarities_html(pairs: Sequence[PairSimilarity], *, without_mean: bool) -> str:
    """Return a table of the cosines, and which sentence is nearer and by how much."""
    paraphrase, same_start = pairs
    rows = [_similarity_row("Echo", "reads twice", paraphrase.echo, same_start.echo)]
    if paraphrase.classical is not None and same_start.classical is not None:
        rows.append(_similarity_row("Classical", "reads once", paraphrase.classical, same_start.classical))
    head = (
        "<tr><th scope='col'>Embedding</th><th scope='col'>Means the same</th><th scope='col'>Begins the same</th>"
        "<th scope='col'>Nearer</th></tr>"
    )
    measure = "Cosines after the normalization of this index." if without_mean else "Cosines."
    note = f"{measure} Three sentences are only an example; see the README for measurements."
    table = f'<table class="ways"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table>'
    return f'{table}<p class="head">{note}</p>'


def _similarity_row(name: str, description: str, paraphrase: float, same_start: float) -> str:
    is_right = paraphrase > same_start
    nearer = "means the same" if is_right else "begins the same"
    kind = "right" if is_right else "wrong"
    return (
        f"<tr><th scope='row'>{name} <small>{description}</small></th>"
        f"<td>{_bar(paraphrase)}</td><td>{_bar(same_start)}</td>"
        f'<td class="{kind}">{nearer}, by {abs(paraphrase - same_start):.3f}</td></tr>'
    )


def _bar(value: float) -> str:
    share = round(100 * max(0.0, min(1.0, value)))
    return f'<span class="bar"><span style="width:{share}%"></span></span><span class="value">{value:.3f}</span>'


def _key(hit: Hit) -> tuple[str, int]:
    return hit.source, hit.start
