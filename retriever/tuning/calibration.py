"""Which layer, prompt and pooling of a model find most in a corpus, found without labels. Knows no files.

Passages give pseudo-questions; one pass of the model gives all views of both; each choice is judged by the mean
reciprocal rank of the passages that the questions were taken out of, in the space that an index of that choice has.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from echo_index.embeddings.runtime.cache import cache_folder, write_cached
from echo_index.embeddings.text.echo_prompt import EchoPrompt
from echo_index.embeddings.vectors.layer_views import LayerView, TextPass
from echo_index.embeddings.vectors.pooling import Pooling
from echo_index.embeddings.vectors.vector_ops import inner_products, l2_normalize
from echo_index.errors import SourceError
from echo_index.indexer.documents.chunking import embedded_text
from echo_index.indexer.text.language_detection import detect_language
from echo_index.indexer.text.synthetic_queries import synthetic_queries
from echo_index.indexer.vectors.normalization import estimate_normalization
from echo_index.retriever.tuning.inverse_cloze import PseudoQuestion, SourcePassage, pseudo_questions

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.embeddings.vectors.vector_ops import Vectors

Progress = Callable[[str, int, int], None]
"""Told the prompt that is tried, how many texts were read with it, and of how many."""

_FEWEST_QUESTIONS = 20
_CHANCE = 0.05  # that something is chosen which is no better
_BEST = 2  # views of each copy that are combined
_WORDED = 200  # passages that a space is estimated from, as an index does


@dataclass(frozen=True, slots=True)
class Prompts:
    """The templates of documents and of queries."""

    document: str
    query: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What can be chosen of an encoder."""

    prompts: Prompts
    pooling: Pooling
    views: tuple[LayerView, ...]


@dataclass(frozen=True, eq=False)
class Trial:
    """How a choice did: reciprocal ranks float64 (questions,), and the mean of those by the model's bare vectors."""

    choice: Choice
    reciprocal_ranks: np.ndarray
    raw: float

    @property
    def mrr(self) -> float:
        """The mean reciprocal rank, in the space that an index would have."""
        return float(self.reciprocal_ranks.mean())


@dataclass(frozen=True, eq=False)
class Calibration:
    """What was tried on how many questions among how many passages, best first, and what is to be chosen."""

    trials: tuple[Trial, ...]
    chosen: Trial
    before: Trial
    """What the encoder had before."""
    queries: int
    passages: int


_PROMPTS = (  # besides an encoder's own: the paper's, one for sentences, and a plain repetition
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
    also: Prompts | None = None,
    progress: Progress = lambda prompt, done, total: None,
) -> Calibration:
    """Try the layers, prompts and poolings of a model on a corpus, and choose what ranks its passages best.

    The prompts are the encoder's own, some that are known to do well, and the one that is given `also`.

    Of the encoder's own prompts and pooling, the layers with the highest MRR are chosen. Others are chosen only if they
    are better than these beyond chance: MRR ranks the layers of one prompt nearly as labels do, prompts less surely.
    What was read with a prompt is kept in the cache folder: an interrupted calibration goes on there.

    Raises:
        SourceError: fewer than 20 questions can be made of the passages.
    """
    asked = pseudo_questions(passages, most=queries)
    if len(asked) < _FEWEST_QUESTIONS:
        raise SourceError(
            f"Only {len(asked)} questions can be made of {len(passages)} passages; calibration needs "
            f"{_FEWEST_QUESTIONS}.",
            remedy="Index more documents: echo-index build FOLDER",
        )
    texts = _Texts.of(passages, asked)
    own = Prompts(encoder.document_prompt.template, encoder.query_prompt.template)
    ways = [(each, encoder.pooling) for each in dict.fromkeys([own, *_PROMPTS, *([also] if also else [])])]
    ways += [(own, pooling) for pooling in Pooling if pooling is not encoder.pooling]
    trials: list[Trial] = []
    for tried, pooling in ways:
        reader = encoder.with_options(
            document_prompt=EchoPrompt(tried.document),
            query_prompt=EchoPrompt(tried.query),
            pooling=pooling,
            layer="+".join(map(str, _all_views(encoder, tried))),
        )
        views = _read(reader, texts, tried.document, progress)
        trials += _tried(Choice(tried, pooling, ()), views, encoder.views, tuned=encoder.model.adapter_name is not None)
    before = next(trial for trial in trials if trial.choice == Choice(own, encoder.pooling, encoder.views))
    ranked = tuple(sorted(trials, key=lambda trial: -trial.mrr))
    return Calibration(ranked, _chosen(ranked, before), before, queries=len(asked), passages=len(texts.passages))


@dataclass(frozen=True, slots=True)
class _Texts:
    """What is read: passages without their questions, in the order of these, then as many others; and wordings.

    `wordings` are of the passages numbered `worded`: all first ones, then all second ones.
    """

    passages: tuple[str, ...]
    queries: tuple[str, ...]
    worded: tuple[int, ...]
    wordings: tuple[str, ...]

    @classmethod
    def of(cls, passages: Sequence[SourcePassage], asked: Sequence[PseudoQuestion]) -> _Texts:
        """Return the texts of a calibration by these questions."""
        used = {each.passage for each in asked}
        others = (each for number, each in enumerate(passages) if number not in used)
        ranked: list[SourcePassage | PseudoQuestion] = [*asked, *(each for each, _ in zip(others, asked, strict=False))]
        chance = random.Random(0)
        said: dict[int, tuple[str, ...]] = {}
        for number in range(len(ranked) - 1, -1, -1):  # those first that no question was taken out of
            text = "\n".join([*ranked[number].headings[-1:], ranked[number].text])
            ways = synthetic_queries(text, languages=[detect_language(text)], chance=chance)
            if ways is not None and len(said) < _WORDED:
                said[number] = ways
        return cls(
            passages=tuple(embedded_text("", each.headings, each.text) for each in ranked),
            queries=tuple(each.query for each in asked),
            worded=tuple(said),
            wordings=tuple(way for ways in zip(*said.values(), strict=True) for way in ways),
        )


def _all_views(encoder: EchoEncoder, prompts: Prompts) -> list[LayerView]:
    """Return the views of the upper half of the layers, and of those that the encoder reads."""
    reads_twice = all(EchoPrompt(template).is_echo for template in (prompts.document, prompts.query))
    depth = encoder.model.depth
    layers = {*range(max(1, depth // 2), depth + 1), *(view.layer for view in encoder.views)}
    return [
        LayerView(copy, layer) for copy in (TextPass if reads_twice else [TextPass.ECHO]) for layer in sorted(layers)
    ]


@dataclass(frozen=True, eq=False)
class _Views:
    """Unit vectors float16 (views, n, dimension) of the texts, by the views of the encoder; and which were worded."""

    names: tuple[LayerView, ...]
    passages: np.ndarray
    queries: np.ndarray
    wordings: np.ndarray
    worded: tuple[int, ...]


def _read(reader: EchoEncoder, texts: _Texts, prompt: str, progress: Progress) -> _Views:
    all_texts = [*texts.passages, *texts.queries, *texts.wordings]
    key = hashlib.sha256("\0".join([reader.fingerprint, *all_texts]).encode("utf-8", "replace")).hexdigest()
    path = cache_folder() / "calibration" / f"{key}.npz"
    with suppress(OSError, ValueError, KeyError, EOFError, BadZipFile):  # not there, or damaged
        kept = np.load(path)
        return _Views(reader.views, kept["passages"], kept["questions"], kept["wordings"], texts.worded)
    done = 0

    def gathered(batches: Iterator[tuple[list[int], list[Vectors]]], count: int) -> np.ndarray:
        nonlocal done
        vectors = np.empty((len(reader.views), count, reader.dimension), dtype=np.float16)
        for positions, views in batches:
            vectors[:, positions] = views
            done += len(positions)
            progress(prompt, done, len(all_texts))
        return vectors

    found = _Views(
        reader.views,
        queries=gathered(reader.query_views(texts.queries), len(texts.queries)),
        wordings=gathered(reader.query_views(texts.wordings), len(texts.wordings)),
        passages=gathered(reader.document_views(texts.passages), len(texts.passages)),
        worded=texts.worded,
    )
    with suppress(OSError):  # a cache that cannot be written: read again next time
        write_cached(path, lambda file: _save(file, found))
    return found


def _save(path: Path, views: _Views) -> None:
    with path.open("wb") as file:
        np.savez(file, passages=views.passages, questions=views.queries, wordings=views.wordings)


def _tried(way: Choice, views: _Views, own: tuple[LayerView, ...], *, tuned: bool) -> list[Trial]:
    """Try each view alone, the best of both copies together, and the encoder's own."""
    tried: dict[tuple[LayerView, ...], Trial] = {}

    def best(candidates: Sequence[tuple[LayerView, ...]], most: int) -> list[tuple[LayerView, ...]]:
        for candidate in candidates:
            if candidate not in tried:
                tried[candidate] = _judged(Choice(way.prompts, way.pooling, candidate), views, tuned=tuned)
        return sorted(candidates, key=lambda candidate: -tried[candidate].mrr)[:most]

    alone = [(view,) for view in views.names]
    of_copy = {copy: best([each for each in alone if each[0].text_pass is copy], _BEST) for copy in TextPass}
    halves = [LayerView(view.text_pass, view.layer, weight=0.5) for [view] in of_copy[TextPass.TEXT]]
    pairs = [
        (*echo, text) for echo in of_copy[TextPass.ECHO] for text in (*halves, *(v for [v] in of_copy[TextPass.TEXT]))
    ]
    best([*alone, *pairs], 1)
    if all((view.text_pass, view.layer) in {(name.text_pass, name.layer) for name in views.names} for view in own):
        best([own], 1)
    return list(tried.values())


def _judged(choice: Choice, views: _Views, *, tuned: bool) -> Trial:
    queries, passages, worded = (
        combine_views(choice.views, views.names, each) for each in (views.queries, views.passages, views.wordings)
    )
    sampled = passages[list(views.worded)]
    normalization = estimate_normalization(passages.mean(axis=0), sampled, worded, passages=len(passages), tuned=tuned)
    compared = _reciprocal_ranks(normalization.normalize_queries(queries), normalization.normalize_documents(passages))
    return Trial(choice, compared, raw=float(_reciprocal_ranks(queries, passages).mean()))


def combine_views(chosen: Sequence[LayerView], names: Sequence[LayerView], vectors: np.ndarray) -> Vectors:
    """Return the embeddings, unit rows (n, dimension), that chosen views give, of vectors (names, n, dimension)."""
    places = {(view.text_pass, view.layer): number for number, view in enumerate(names)}
    weighted = [view.weight * vectors[places[view.text_pass, view.layer]].astype(np.float32) for view in chosen]
    return l2_normalize(np.sum(weighted, axis=0, dtype=np.float32))


def _reciprocal_ranks(queries: Vectors, passages: Vectors) -> np.ndarray:
    """Return for each question 1 / the rank of the passage of its own number, float64 (questions,)."""
    cosines = inner_products(queries, passages)
    own = np.diagonal(cosines)[:, None]
    return np.asarray(1.0 / (1 + (cosines > own).sum(axis=1)))


def _chosen(ranked: Sequence[Trial], before: Trial) -> Trial:
    """Return what is to be chosen of trials, best first; `before` where another is no better at all."""
    own = before.choice.prompts, before.choice.pooling
    of_own_way = next(trial for trial in ranked if (trial.choice.prompts, trial.choice.pooling) == own)
    if of_own_way.mrr == before.mrr:
        of_own_way = before
    return ranked[0] if _is_better(ranked[0], of_own_way, tried=len(ranked)) else of_own_way


def _is_better(best: Trial, other: Trial, *, tried: int) -> bool:
    """Whether the best of so many trials is better than another by more than chance lets the best of them be.

    The difference over the questions is held against the standard error, at 5 % for all trials together (Bonferroni).
    """
    differences = best.reciprocal_ranks - other.reciprocal_ranks
    error = float(differences.std()) / float(np.sqrt(len(differences)))
    return float(differences.mean()) > NormalDist().inv_cdf(1 - _CHANCE / tried) * error
