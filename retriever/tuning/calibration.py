"""Choose the layers, prompts and pooling of an encoder for a corpus, without labels.

Pseudo-questions are taken from passages of the corpus (`inverse_cloze`). One forward pass of each prompt gives the
hidden states of all layers; each choice is scored by the mean reciprocal rank (MRR) of the passages of the questions.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from echo_index.embeddings.runtime.cache import cache_key, get_or_make
from echo_index.embeddings.text.echo_prompt import EchoPrompt
from echo_index.embeddings.vectors.layer_views import LayerView, TextPass
from echo_index.embeddings.vectors.pooling import Pooling
from echo_index.embeddings.vectors.vector_ops import inner_products, l2_normalize
from echo_index.errors import SourceError
from echo_index.indexer.documents.chunking import embedded_text
from echo_index.indexer.text.language_detection import detect_language
from echo_index.indexer.text.synthetic_queries import synthetic_queries
from echo_index.indexer.vectors.normalization_estimate import estimate_normalization
from echo_index.retriever.tuning.inverse_cloze import PseudoQuestion, SourcePassage, pseudo_questions

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.embeddings.vectors.vector_ops import Vectors

Progress = Callable[[str, int, int], None]
"""Called with the document prompt being tried, the number of texts embedded with it and their total."""

_MIN_QUESTIONS = 20
_SIGNIFICANCE = 0.05  # probability of choosing something that is not better
_COMBINED_VIEWS = 2  # best views of each text pass that are combined
_NORMALIZATION_SAMPLE = 200  # passages with synthetic queries, as many as an index uses


@dataclass(frozen=True, slots=True)
class Prompts:
    """The templates of documents and queries."""

    document: str
    query: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The options of an encoder that calibration chooses."""

    prompts: Prompts
    pooling: Pooling
    views: tuple[LayerView, ...]


@dataclass(frozen=True, eq=False)
class Trial:
    """Result of a choice: reciprocal ranks float64 (questions,), and the MRR without normalization as `raw`."""

    choice: Choice
    reciprocal_ranks: np.ndarray
    raw: float

    @property
    def mrr(self) -> float:
        """The mean reciprocal rank, with the normalization that an index would have."""
        return float(self.reciprocal_ranks.mean())


@dataclass(frozen=True, eq=False)
class Calibration:
    """All trials, best first, the chosen one, and the numbers of questions and passages."""

    trials: tuple[Trial, ...]
    chosen: Trial
    before: Trial
    """The trial of the encoder's current options."""
    queries: int
    passages: int


_PROMPTS = (  # besides the encoder's own: the paper's, one for sentences, and a plain repetition
    Prompts(
        "Rewrite the following paragraph: {text} The rewritten paragraph: {echo}",
        "{instruction}\nRewrite the following paragraph: {text} The rewritten paragraph: {echo}",
    ),
    Prompts(
        "Rewrite the sentence: {text}\nRewritten sentence: {echo}",
        "{instruction}\nRewrite the sentence: {text}\nRewritten sentence: {echo}",
    ),
    Prompts("Passage: {text}\nPassage again: {echo}", "{instruction}\nQuestion: {text}\nQuestion again: {echo}"),
)


def calibrate(
    encoder: EchoEncoder,
    passages: Sequence[SourcePassage],
    *,
    queries: int = 300,
    extra_prompts: Prompts | None = None,
    progress: Progress = lambda prompt, done, total: None,
) -> Calibration:
    """Try the layers, prompts and poolings of an encoder on passages of a corpus, and choose the best.

    The prompts are the encoder's own, some that are known to do well, and `extra_prompts`.

    With the encoder's own prompts and pooling, the layers with the highest MRR are chosen. Other prompts or poolings
    are chosen only if they are significantly better: MRR without labels ranks the layers of one prompt nearly as labels
    do, but prompts less reliably. Embeddings are cached, so that an interrupted calibration can continue.

    Raises:
        SourceError: fewer than 20 questions can be made of the passages.
    """
    questions = pseudo_questions(passages, limit=queries)
    if len(questions) < _MIN_QUESTIONS:
        raise SourceError(
            f"Only {len(questions)} questions can be made of {len(passages)} passages; calibration needs "
            f"{_MIN_QUESTIONS}.",
            remedy="Index more documents: echo-index build FOLDER",
        )
    texts = _Texts.of(passages, questions)
    own = Prompts(encoder.document_prompt.template, encoder.query_prompt.template)
    candidates = [
        (prompts, encoder.pooling)
        for prompts in dict.fromkeys([own, *_PROMPTS, *([extra_prompts] if extra_prompts else [])])
    ]
    candidates += [(own, pooling) for pooling in Pooling if pooling is not encoder.pooling]
    trials: list[Trial] = []
    for prompts, pooling in candidates:
        reader = encoder.with_options(
            document_prompt=EchoPrompt(prompts.document),
            query_prompt=EchoPrompt(prompts.query),
            pooling=pooling,
            layer="+".join(map(str, _candidate_views(encoder, prompts))),
        )
        embedded = _embed(reader, texts, prompts.document, progress)
        trials += _try_views(
            Choice(prompts, pooling, ()), embedded, encoder.views, tuned=encoder.model.adapter_name is not None
        )
    before = next(trial for trial in trials if trial.choice == Choice(own, encoder.pooling, encoder.views))
    ranked = tuple(sorted(trials, key=lambda trial: -trial.mrr))
    return Calibration(ranked, _choose(ranked, before), before, queries=len(questions), passages=len(texts.passages))


@dataclass(frozen=True, slots=True)
class _Texts:
    """The texts to embed.

    `passages` are those of the questions, without them and in their order, then as many others. `synthetic_queries` are
    those of the passages numbered `sampled`: the first of every passage, then the second of every passage, and so on.
    """

    passages: tuple[str, ...]
    queries: tuple[str, ...]
    sampled: tuple[int, ...]
    synthetic_queries: tuple[str, ...]

    @classmethod
    def of(cls, passages: Sequence[SourcePassage], questions: Sequence[PseudoQuestion]) -> _Texts:
        """Return the texts of a calibration with these questions."""
        used = {question.passage for question in questions}
        others = (passage for number, passage in enumerate(passages) if number not in used)
        ranked: list[SourcePassage | PseudoQuestion] = [*questions, *islice(others, len(questions))]
        rng = random.Random(0)
        queries_of: dict[int, tuple[str, ...]] = {}
        for number in reversed(range(len(ranked))):  # first the passages without a question
            text = "\n".join([*ranked[number].headings[-1:], ranked[number].text])
            queries = synthetic_queries(text, languages=[detect_language(text)], rng=rng)
            if queries is not None and len(queries_of) < _NORMALIZATION_SAMPLE:
                queries_of[number] = queries
        return cls(
            passages=tuple(embedded_text("", passage.headings, passage.text) for passage in ranked),
            queries=tuple(question.query for question in questions),
            sampled=tuple(queries_of),
            synthetic_queries=tuple(chain.from_iterable(zip(*queries_of.values(), strict=True))),
        )


def _candidate_views(encoder: EchoEncoder, prompts: Prompts) -> list[LayerView]:
    """Return the views of the upper half of the layers, and of the encoder's own layers."""
    is_echo = all(EchoPrompt(template).is_echo for template in (prompts.document, prompts.query))
    depth = encoder.model.depth
    layers = {*range(max(1, depth // 2), depth + 1), *(view.layer for view in encoder.views)}
    return [
        LayerView(text_pass, layer)
        for text_pass in (TextPass if is_echo else [TextPass.ECHO])
        for layer in sorted(layers)
    ]


@dataclass(frozen=True, eq=False)
class _EmbeddedTexts:
    """Unit vectors float16 (views, n, dimension) of `_Texts`, for each of the views."""

    views: tuple[LayerView, ...]
    passages: np.ndarray
    queries: np.ndarray
    synthetic_queries: np.ndarray
    sampled: tuple[int, ...]


def _embed(reader: EchoEncoder, texts: _Texts, prompt: str, progress: Progress) -> _EmbeddedTexts:
    all_texts = [*texts.passages, *texts.queries, *texts.synthetic_queries]
    done = 0

    def gather(batches: Iterator[tuple[list[int], list[Vectors]]], count: int) -> np.ndarray:
        nonlocal done
        vectors = np.empty((len(reader.views), count, reader.dimension), dtype=np.float16)
        for positions, views in batches:
            vectors[:, positions] = views
            done += len(positions)
            progress(prompt, done, len(all_texts))
        return vectors

    def embed() -> _EmbeddedTexts:
        return _EmbeddedTexts(
            reader.views,
            queries=gather(reader.query_views(texts.queries), len(texts.queries)),
            synthetic_queries=gather(reader.query_views(texts.synthetic_queries), len(texts.synthetic_queries)),
            passages=gather(reader.document_views(texts.passages), len(texts.passages)),
            sampled=texts.sampled,
        )

    def load(path: Path) -> _EmbeddedTexts:
        with np.load(path) as arrays:
            return _EmbeddedTexts(
                reader.views, arrays["passages"], arrays["questions"], arrays["wordings"], texts.sampled
            )

    file_name = f"{cache_key(reader.fingerprint, *all_texts)}.npz"
    return get_or_make("calibration", file_name, read=load, make=embed, write=_save)


def _save(path: Path, texts: _EmbeddedTexts) -> None:
    with path.open("wb") as file:
        np.savez(file, passages=texts.passages, questions=texts.queries, wordings=texts.synthetic_queries)


def _try_views(base: Choice, texts: _EmbeddedTexts, own: tuple[LayerView, ...], *, tuned: bool) -> list[Trial]:
    """Try each view alone, the best of both text passes together, and the encoder's own views."""
    trials: dict[tuple[LayerView, ...], Trial] = {}

    def best(candidates: Sequence[tuple[LayerView, ...]], limit: int) -> list[tuple[LayerView, ...]]:
        for candidate in candidates:
            if candidate not in trials:
                trials[candidate] = _score(Choice(base.prompts, base.pooling, candidate), texts, tuned=tuned)
        return sorted(candidates, key=lambda candidate: -trials[candidate].mrr)[:limit]

    single = [(view,) for view in texts.views]
    best_of_pass = {
        text_pass: best([views for views in single if views[0].text_pass is text_pass], _COMBINED_VIEWS)
        for text_pass in TextPass
    }
    halves = [LayerView(view.text_pass, view.layer, weight=0.5) for [view] in best_of_pass[TextPass.TEXT]]
    pairs = [
        (*echo, text)
        for echo in best_of_pass[TextPass.ECHO]
        for text in (*halves, *chain.from_iterable(best_of_pass[TextPass.TEXT]))
    ]
    best([*single, *pairs], 1)
    available = {(view.text_pass, view.layer) for view in texts.views}
    if all((view.text_pass, view.layer) in available for view in own):
        best([own], 1)
    return list(trials.values())


def _score(choice: Choice, texts: _EmbeddedTexts, *, tuned: bool) -> Trial:
    queries, passages, synthetic = (
        combine_views(choice.views, texts.views, vectors)
        for vectors in (texts.queries, texts.passages, texts.synthetic_queries)
    )
    sampled = passages[list(texts.sampled)]
    normalization = estimate_normalization(
        passages.mean(axis=0), sampled, synthetic, passages=len(passages), tuned=tuned
    )
    ranks = _reciprocal_ranks(normalization.normalize_queries(queries), normalization.normalize_documents(passages))
    return Trial(choice, ranks, raw=float(_reciprocal_ranks(queries, passages).mean()))


def combine_views(chosen: Sequence[LayerView], available: Sequence[LayerView], vectors: np.ndarray) -> Vectors:
    """Return unit embeddings (n, dimension) of the chosen views, from vectors (available views, n, dimension)."""
    rows = {(view.text_pass, view.layer): number for number, view in enumerate(available)}
    weighted = [view.weight * vectors[rows[view.text_pass, view.layer]].astype(np.float32) for view in chosen]
    return l2_normalize(np.sum(weighted, axis=0, dtype=np.float32))


def _reciprocal_ranks(queries: Vectors, passages: Vectors) -> np.ndarray:
    """Return 1 / the rank of passage i for query i, float64 (queries,)."""
    cosines = inner_products(queries, passages)
    own = np.diagonal(cosines)[:, None]
    return np.asarray(1.0 / (1 + (cosines > own).sum(axis=1)))


def _choose(ranked: Sequence[Trial], before: Trial) -> Trial:
    """Return the trial to choose; `before` if no other is better."""
    own = before.choice.prompts, before.choice.pooling
    own_best = next(trial for trial in ranked if (trial.choice.prompts, trial.choice.pooling) == own)
    if own_best.mrr == before.mrr:
        own_best = before
    return ranked[0] if _is_better(ranked[0], own_best, tried=len(ranked)) else own_best


def _is_better(best: Trial, other: Trial, *, tried: int) -> bool:
    """Whether the best of `tried` trials is significantly better than another one.

    One-sided test of the mean difference over the questions, at 5 % for all trials together (Bonferroni).
    """
    differences = best.reciprocal_ranks - other.reciprocal_ranks
    error = float(differences.std()) / float(np.sqrt(len(differences)))
    return float(differences.mean()) > NormalDist().inv_cdf(1 - _SIGNIFICANCE / tried) * error
