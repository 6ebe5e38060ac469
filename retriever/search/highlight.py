"""Find the sentence of each hit that answers a query best: by shared terms, or else by vectors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from math import inf, log
from typing import TYPE_CHECKING

from echo_index.indexer.text.language_detection import detect_language
from echo_index.indexer.text.sentences import SENTENCE_OR_LINE_END
from echo_index.retriever.search.content_terms import content_terms, question_terms
from echo_index.retriever.search.hits import Hit, Span

if TYPE_CHECKING:
    from echo_index.embeddings.vectors.vector_ops import Vectors

_MAX_LENGTH = 400  # characters of a span
_MAX_COMPARED_SENTENCES = 24  # by their vectors, which takes a few seconds on a CPU
_SHORT_LINE = 40  # characters; a shorter line was not wrapped, it ends there
_BLOCK_START = re.compile(r" {4}|\t| *(?:[-*+•–] |#|>|\||```|~~~|\d+[.)] |[-=]{3})")  # code, item, heading, table
_FENCES = ("```", "~~~")
_CONTINUATION = re.compile(r"\s+[a-z]")
_PAUSES = (re.compile(r"[,;:]\s|[，、；：]"), re.compile(r"\s"))  # in order of preference
_HEADING_OR_QUESTION = re.compile(r"#|.*[?？؟][\"'”’»)\]]*$", re.DOTALL)
_UNDERLINE = re.compile(r"\n(?:\| ?:?)?[-=~^]{3}")  # below a heading or the header row of a table
_WORD = re.compile(r"\w+")


def matching_sentence(query: str, text: str, *, by_line: bool = False, tie_break: str = "") -> Span | None:
    """Return the span of the sentence of a text that shares the most telling terms with a query; None if none does.

    A term counts less the more sentences have it; terms that are adjacent in the query and in a sentence count more. A
    heading or a question counts half. Terms are stems in the language of the text. `by_line`: each line is a sentence.
    Of sentences that match the query equally, the one is returned that matches `tie_break` best, or else the first.
    """
    spans = sentence_spans(text, by_line=by_line)
    language = detect_language(text)
    sentences = [content_terms(text[start:end], language) for start, end in spans]
    is_statement = [_is_statement(text, span) for span in spans]
    scores = _sentence_scores(question_terms(query, language), sentences, is_statement)
    ties = _sentence_scores(question_terms(tie_break, language), sentences, is_statement) if tie_break else scores
    best = max(range(len(spans)), key=lambda number: (scores[number], ties[number]), default=None)
    return spans[best] if best is not None and scores[best] > 0 else None


def _sentence_scores(
    query_terms: Sequence[str], sentences: Sequence[Sequence[str]], is_statement: Sequence[bool]
) -> list[float]:
    sentence_counts = Counter(term for terms in sentences for term in {*terms})
    weights = {term: log((len(sentences) + 1) / sentence_counts[term]) for term in query_terms if sentence_counts[term]}
    phrases = {pair for pair in pairwise(query_terms) if weights.keys() >= {*pair}}
    scores = []
    for terms, counts_fully in zip(sentences, is_statement, strict=True):
        score = sum(weights.get(term, 0.0) for term in sorted({*terms}))  # sorted: sums depend on the order
        score += sum(weights[one] + weights[other] for one, other in sorted(phrases & {*pairwise(terms)})) / 4
        scores.append(score if counts_fully else score / 2)
    return scores


def with_matching_sentences(query: str, hits: Sequence[Hit]) -> list[Hit]:
    """Return the hits with the sentence that answers a query best in `Hit.sentence`; None where none shares a term."""
    return [hit.at(matching_sentence(query, hit.text, by_line=_is_code(hit))) for hit in hits]


def at_supporting_sentence(hit: Hit, answer: str, *, question: str) -> Hit:
    """Return a cited hit with the sentence that an answer is taken from; unchanged if none shares a term with it."""
    sentence = matching_sentence(answer, hit.text, by_line=_is_code(hit), tie_break=question)
    return hit if sentence is None else hit.at(sentence)


def highlight_hits(query: str, hits: Sequence[Hit], *, similarity: Callable[[list[str]], Vectors]) -> list[Hit]:
    """Return the hits with the sentence that answers a query best in `Hit.sentence`; None where there is none.

    Sentences are compared by their terms. Where a hit of dense search shares no term, `similarity` returns the cosine
    of each of its sentences with the query, (n,); at most 24 sentences are compared so, those of the first hits.
    """
    hits = with_matching_sentences(query, hits)
    spans = [hit.sentence for hit in hits]
    unmatched = [number for number, hit in enumerate(hits) if spans[number] is None and hit.dense is not None]
    compared: list[tuple[int, Span]] = []
    for number in unmatched:
        candidates = _candidate_spans(hits[number])
        if compared and len(compared) + len(candidates) > _MAX_COMPARED_SENTENCES:
            break  # all sentences of a hit are compared, or none
        compared += [(number, span) for span in candidates[:_MAX_COMPARED_SENTENCES]]
    if compared:
        cosines = similarity([hits[number].text[start:end] for number, (start, end) in compared])
        highest = dict.fromkeys(unmatched, -inf)
        for (number, span), cosine in zip(compared, cosines.tolist(), strict=True):
            if cosine > highest[number]:
                spans[number], highest[number] = span, cosine
    return [hit.at(span) for hit, span in zip(hits, spans, strict=True)]


def sentence_spans(text: str, *, by_line: bool = False) -> list[Span]:
    """Return the spans of the sentences of a text, in order; pieces without a word are left out.

    Headings and the lines of code, lists and tables are sentences too. A sentence of more than 400 characters is split
    at punctuation or white space.
    """
    ends = [0, *_sentence_ends(text, by_line), len(text)]
    pieces = (piece for start, end in pairwise(ends) for piece in _split_long(text, start, end))
    return [
        (start, end)
        for start, end in pieces
        if _WORD.search(text, start, end) and text[start : start + 3] not in _FENCES
    ]


def _is_statement(text: str, span: Span) -> bool:
    """Whether a sentence is neither a heading nor a question: those name the subject and do not answer anything."""
    return not (_HEADING_OR_QUESTION.match(text, *span) or _UNDERLINE.match(text, span[1]))


def _candidate_spans(hit: Hit) -> list[Span]:
    spans = sentence_spans(hit.text, by_line=_is_code(hit))
    return [span for span in spans if _is_statement(hit.text, span)] or spans


def _is_code(hit: Hit) -> bool:
    return hit.format == "code"


def _sentence_ends(text: str, by_line: bool) -> Iterator[int]:
    for mark in SENTENCE_OR_LINE_END.finditer(text):
        if mark[0] == "\n":
            ends = by_line or _is_line_end(text, mark.start())
        else:
            numbers_an_item = _line_before(text, mark.start()).strip().isdigit()
            ends = not (by_line or numbers_an_item or _CONTINUATION.match(text, mark.end()))
        if ends:
            yield mark.end()


def _is_line_end(text: str, position: int) -> bool:
    """Whether the line break at a position ends a sentence, rather than wrapping a paragraph."""
    before = _line_before(text, position).rstrip()
    return len(before) < _SHORT_LINE or before[-1] in ";:{}|" or bool(_BLOCK_START.match(text, position + 1))


def _line_before(text: str, position: int) -> str:
    """Return the part of a line before a position."""
    return text[text.rfind("\n", 0, position) + 1 : position]


def _split_long(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield the span without surrounding white space, split where it is too long."""
    while True:
        while start < end and text[start].isspace():
            start += 1
        while end > start and text[end - 1].isspace():
            end -= 1
        if end - start <= _MAX_LENGTH:
            yield start, end
            return
        window = start + _MAX_LENGTH // 2, start + _MAX_LENGTH
        pauses = ([pause.end() for pause in pattern.finditer(text, *window)] for pattern in _PAUSES)
        cut = next((ends[-1] for ends in pauses if ends), window[1])
        yield start, len(text[:cut].rstrip())
        start = cut
