"""The tab Compare: one question by echo, classical and lexical search side by side; sentences compared by each way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import gradio as gr

from echo_index.app.defaults import DEFAULTS
from echo_index.app.services.index_service import IndexService
from echo_index.app.web.error_html import show_errors
from echo_index.app.web.hit_cards import location_html
from echo_index.app.web.html import button, escape_html, notice
from echo_index.app.web.theme import acting_html
from echo_index.retriever.search.comparison import compare, compare_sentences
from echo_index.retriever.search.retriever import Retriever

if TYPE_CHECKING:
    from echo_index.retriever.search.comparison import Comparison, PairSimilarity, Ranking
    from echo_index.retriever.search.hits import Hit

_RANKS = 10
_ROW = 64  # pixels of a row; the style sheet has the same
_TITLES = {
    "classical": ("Classical", "reads once"),
    "echo": ("Echo", "reads twice"),
    "lexical": ("Words", "BM25"),
}
_WELCOME = notice(
    "The same question, three ways to search.",
    remedy="Echo embeddings read each passage twice, classical ones once; the third way counts words.",
    kind="empty",
)
# Where reading twice shows best; other sentences show it less, and some not at all.
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
    """What stands in the tab; `results` holds passages that can be opened."""

    def __init__(self, service: IndexService) -> None:
        self._service = service
        with gr.Row(equal_height=True, elem_classes="ask-row"):
            question = gr.Textbox(
                value="",
                label="Question",
                placeholder="Ask something to see how the three ways rank it",
                elem_id="compare-question",
                max_length=DEFAULTS.longest_question,
                scale=8,
            )
            go = gr.Button("Compare", variant="primary", scale=1, min_width=110)
        self.results = acting_html(_WELCOME, elem_id="comparison", label="Comparison")
        gr.on(
            [go.click, question.submit],
            self._compare,
            question,
            self.results,
            concurrency_limit=4,
            show_progress="minimal",
            api_visibility="private",
        )
        with gr.Accordion("Why reading twice helps", open=True):
            gr.Markdown(
                "A language model reads from left to right: when it reads the first words, it has not seen the last. "
                "Sentences that begin alike therefore look alike, whatever they come to say. In the second reading "
                "every word has seen the whole sentence."
            )
            with gr.Row():
                sentence = gr.Textbox(label="A sentence", value=_EXAMPLES[0][0], max_length=500)
                alike = gr.Textbox(label="One that means the same", value=_EXAMPLES[0][1], max_length=500)
                other = gr.Textbox(label="One that begins the same", value=_EXAMPLES[0][2], max_length=500)
            measure = gr.Button("Measure", size="sm")
            similarities = gr.HTML(elem_id="similarities", apply_default_css=False)
            gr.Examples(_EXAMPLES, [sentence, alike, other], label="Examples", api_visibility="private")
        gr.on(
            [measure.click, sentence.submit, alike.submit, other.submit],
            self._measure,
            [sentence, alike, other],
            similarities,
            concurrency_limit=4,
            show_progress="minimal",
            api_visibility="private",
        )

    @show_errors
    def _compare(self, question: str) -> str:
        if not question.strip():
            return _WELCOME
        return self._service.with_retriever(lambda retriever: comparison_view(compare(retriever, question, k=_RANKS)))

    @show_errors
    def _measure(self, sentence: str, alike: str, other: str) -> str:
        def measured(retriever: Retriever) -> str:
            normalizations = retriever.with_snapshot(lambda snapshot: snapshot.normalizations())
            pairs = compare_sentences(retriever.encoder, sentence, [alike, other], normalizations=normalizations)
            return similarities_view(pairs, without_mean=normalizations is not None)

        return self._service.with_retriever(measured)


def comparison_view(comparison: Comparison) -> str:
    """Return the rankings as columns, echo in the middle, with lines between the places of the same passage."""
    rankings = {ranking.name: ranking for ranking in comparison.rankings}
    echo = rankings["echo"]
    classical, lexical = rankings.get("classical"), rankings["lexical"]
    parts = []
    if classical is not None:
        parts += [_column(classical, echo), _lines(classical.hits, echo.hits)]
    parts += [_column(echo, echo), _lines(echo.hits, lexical.hits), _column(lexical, echo)]
    told = ""
    if comparison.without_classical:
        told = notice(
            f"{comparison.without_classical:,} passages were embedded by a version that kept no classical vectors.",
            remedy="Build the index anew to have them compared: echo-index build --rebuild",
            kind="warning",
        )
    return f'{told}<div class="comparison">{"".join(parts)}</div>'


def _column(ranking: Ranking, echo: Ranking) -> str:
    name, means = _TITLES[ranking.name]
    there = {_key(hit): rank for rank, hit in enumerate(echo.hits, start=1)}
    rows = [
        _row(hit, rank, there.get(_key(hit)), is_echo=ranking is echo) for rank, hit in enumerate(ranking.hits, start=1)
    ]
    body = "".join(rows) or '<li class="rank-row none">Nothing was found.</li>'
    return f'<section class="ranking {ranking.name}"><h3>{name} <small>{means}</small></h3><ol>{body}</ol></section>'


def _row(hit: Hit, rank: int, echo_rank: int | None, *, is_echo: bool) -> str:
    label = f"{rank}. {heading_text(hit)}"
    where = button(label, "open", title=f"Open {location_html(hit)}", source=hit.source, start=hit.start)
    return (
        f'<li class="rank-row">{where}<span class="place">{escape_html(location_html(hit))}</span>'
        f"{'' if is_echo else _move(rank, echo_rank)}</li>"
    )


def heading_text(hit: Hit) -> str:
    """Return the title and headings of a passage on one line."""
    from echo_index.indexer.documents.chunking import title_path

    return " › ".join(title_path(hit.title, hit.headings)) or hit.source


def _move(rank: int, echo_rank: int | None) -> str:
    """Say how far from its place by echo a passage stands here."""
    if echo_rank is None:
        return '<span class="move new" title="not among the first by echo">only here</span>'
    if rank == echo_rank:
        return '<span class="move same" title="the same place by echo">=</span>'
    way, arrow = ("up", "▲") if rank < echo_rank else ("down", "▼")
    return f'<span class="move {way}" title="{echo_rank}. by echo">{arrow}{abs(rank - echo_rank)}</span>'


def _lines(left: Sequence[Hit], right: Sequence[Hit]) -> str:
    """Draw a line from each passage on the left to the same one on the right."""
    there = {_key(hit): rank for rank, hit in enumerate(right)}
    height = _ROW * max(len(left), len(right), 1)
    lines = []
    for rank, hit in enumerate(left):
        if (other := there.get(_key(hit))) is not None:
            way = "same" if other == rank else "crossed"
            first, last = _ROW * rank + _ROW // 2, _ROW * other + _ROW // 2
            lines.append(f'<path class="{way}" d="M0 {first} C30 {first} 30 {last} 60 {last}"/>')
    drawn = "".join(lines)
    return f'<svg class="moves" viewBox="0 0 60 {height}" width="60" height="{height}" aria-hidden="true">{drawn}</svg>'


def similarities_view(pairs: Sequence[PairSimilarity], *, without_mean: bool) -> str:
    """Return how like each other the sentences are, by each way, and by how much the right one is nearer."""
    alike, other = pairs
    rows = [_way("Echo", "reads twice", alike.echo, other.echo)]
    if alike.classical is not None and other.classical is not None:
        rows.append(_way("Classical", "reads once", alike.classical, other.classical))
    head = (
        "<tr><th scope='col'>Way</th><th scope='col'>Means the same</th><th scope='col'>Begins the same</th>"
        "<th scope='col'>Nearer is</th></tr>"
    )
    measure = "Cosines, without what all passages of this index have in common." if without_mean else "Cosines."
    note = f"{measure} Three sentences are an example, not a proof: the figures of the README are."
    table = f'<table class="ways"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table>'
    return f'{table}<p class="head">{note}</p>'


def _way(name: str, means: str, alike: float, other: float) -> str:
    right = alike > other
    verdict = "what means the same" if right else "what begins the same"
    kind = "right" if right else "wrong"
    return (
        f"<tr><th scope='row'>{name} <small>{means}</small></th><td>{_bar(alike)}</td><td>{_bar(other)}</td>"
        f'<td class="{kind}">{verdict}, by {abs(alike - other):.3f}</td></tr>'
    )


def _bar(value: float) -> str:
    share = round(100 * max(0.0, min(1.0, value)))
    return f'<span class="bar"><span style="width:{share}%"></span></span><span class="value">{value:.3f}</span>'


def _key(hit: Hit) -> tuple[str, int]:
    return hit.source, hit.start
