"""The sentence of a passage that answers a question best, by words or by vectors. Knows no index and no model."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from math import inf, log
from typing import TYPE_CHECKING

from echo_index.retriever.search.words import stems

if TYPE_CHECKING:
    from echo_index.embeddings.vectors.vector_ops import Vectors
    from echo_index.retriever.search.hits import Hit

Span = tuple[int, int]
"""Where something begins and ends, in characters."""

_LONGEST = 400  # characters of what is marked
_MOST_SENTENCES = 24  # are compared by meaning: a few seconds on a CPU
_SHORT_LINE = 40  # characters; a shorter line is not one of a paragraph that was wrapped
_SENTENCE_END = re.compile(r"\n|[.!?…؟۔।]+[\"'”’»)\]]*(?=\s)|[。！？]+[」』”]*")
_LINE_OF_ITS_OWN = re.compile(r" {4}|\t| *(?:[-*+•–] |#|>|\||```|~~~|\d+[.)] |[-=]{3})")  # code, item, heading, table
_FENCES = ("```", "~~~")
_GOES_ON = re.compile(r"\s+[a-z]")
_PAUSES = (re.compile(r"[,;:]\s|[，、；：]"), re.compile(r"\s"))  # the better first
_HEADING_OR_QUESTION = re.compile(r"#|.*[?？؟][\"'”’»)\]]*$", re.DOTALL)
_UNDERLINE = re.compile(r"\n(?:\| ?:?)?[-=~^]{3}")  # of a heading or of the head of a table
_WORD = re.compile(r"\w+")
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_RUN = re.compile(rf"[{_UNSPACED}]+|[^\W\d_{_UNSPACED}]+|\d+")  # gemma3-270m is gemma, 3, 270, m
_ENDING = re.compile(r"(?<=\w{3})(?:ing|in|i|ed|es|e|s)$")  # of a stem, which may be cut within its ending
_GRAMMAR = re.compile(r"[\u3040-\u309f]+")  # Hiragana alone: particles and endings, mostly


def matching_sentence(query: str, text: str, *, by_line: bool = False) -> Span | None:
    """Return start and end of the sentence of a text that answers best to a question, by the words that they share.

    A word that many of the sentences hold says little; words that follow each other in the question and in a sentence
    count more. `by_line`: sentences are lines, as in code. At most 400 characters; None where no word is shared.
    """
    spans = sentence_spans(text, by_line=by_line)
    sentences = [_words(text[start:end]) for start, end in spans]
    asked = _words(query)
    held_by = Counter(word for words in sentences for word in {*words})
    weight = {word: log((len(spans) + 1) / held_by[word]) for word in asked if held_by[word]}
    phrases = {pair for pair in pairwise(asked) if weight.keys() >= {*pair}}
    best, highest = None, 0.0
    for (start, end), words in zip(spans, sentences, strict=True):
        score = sum(weight.get(word, 0.0) for word in {*words})
        score += sum(weight[one] + weight[other] for one, other in phrases & {*pairwise(words)}) / 4
        if not _may_answer(text, (start, end)):
            score /= 2
        if score > highest:
            best, highest = (start, end), score
    return best


def highlight_hits(query: str, hits: Sequence[Hit], *, nearness: Callable[[list[str]], Vectors]) -> list[Span | None]:
    """Return for each hit the sentence that answers best to a question, None where there is none.

    By the words that they share; where a hit that was found by meaning shares none, by the `nearness` (n,) of its
    sentences to the question. Of these, not more than 24 are looked at, those of the first hits.
    """
    marks = [matching_sentence(query, hit.text, by_line=_by_line(hit)) for hit in hits]
    unmarked = [place for place, hit in enumerate(hits) if marks[place] is None and hit.dense is not None]
    tried: list[tuple[int, Span]] = []
    for place in unmarked:
        spans = _candidates(hits[place])
        if tried and len(tried) + len(spans) > _MOST_SENTENCES:
            break  # a passage is looked at as a whole
        tried += [(place, span) for span in spans[:_MOST_SENTENCES]]
    if tried:
        cosines = nearness([hits[place].text[start:end] for place, (start, end) in tried])
        highest = dict.fromkeys(unmarked, -inf)
        for (place, span), cosine in zip(tried, cosines.tolist(), strict=True):
            if cosine > highest[place]:
                marks[place], highest[place] = span, cosine
    return marks


def sentence_spans(text: str, *, by_line: bool = False) -> list[Span]:
    """Return where the sentences of a text are, in order, without white space around them or pieces without a word.

    A line of code, of a list, of a table, and a heading are sentences too; a longer one is cut where it pauses.
    """
    ends = [0, *_ends(text, by_line), len(text)]
    pieces = (piece for start, end in pairwise(ends) for piece in _within(text, start, end))
    return [
        (start, end)
        for start, end in pieces
        if _WORD.search(text, start, end) and text[start : start + 3] not in _FENCES
    ]


def _may_answer(text: str, span: Span) -> bool:
    """Whether a sentence is more than a heading or a question, which name what is asked and say nothing about it."""
    return not (_HEADING_OR_QUESTION.match(text, *span) or _UNDERLINE.match(text, span[1]))


def _candidates(hit: Hit) -> list[Span]:
    spans = sentence_spans(hit.text, by_line=_by_line(hit))
    return [span for span in spans if _may_answer(hit.text, span)] or spans


def _by_line(hit: Hit) -> bool:
    return hit.format == "code"


def _ends(text: str, by_line: bool) -> Iterator[int]:
    for mark in _SENTENCE_END.finditer(text):
        if mark[0] == "\n":
            ends = by_line or _line_ends(text, mark.start())
        else:
            numbers_an_item = _line_before(text, mark.start()).strip().isdigit()
            ends = not (by_line or numbers_an_item or _GOES_ON.match(text, mark.end()))
        if ends:
            yield mark.end()


def _line_ends(text: str, position: int) -> bool:
    """Whether the line break at a position is more than where a paragraph was wrapped."""
    before = _line_before(text, position).rstrip()
    return len(before) < _SHORT_LINE or before[-1] in ";:{}|" or bool(_LINE_OF_ITS_OWN.match(text, position + 1))


def _line_before(text: str, position: int) -> str:
    """Return what of a line stands before a position."""
    return text[text.rfind("\n", 0, position) + 1 : position]


def _within(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield a piece without the white space around it, cut where it is too long."""
    while True:
        while start < end and text[start].isspace():
            start += 1
        while end > start and text[end - 1].isspace():
            end -= 1
        if end - start <= _LONGEST:
            yield start, end
            return
        window = start + _LONGEST // 2, start + _LONGEST
        pauses = ([pause.end() for pause in sort.finditer(text, *window)] for sort in _PAUSES)
        cut = next((ends[-1] for ends in pauses if ends), window[1])
        yield start, len(text[:cut].rstrip())
        start = cut


def _words(text: str) -> list[str]:
    """Return the stems of a text's words in order, and of scripts that do not part words every two characters."""
    if not text.isascii():
        apart = unicodedata.normalize("NFKD", text)  # accents and vowel signs count for nothing
        text = unicodedata.normalize("NFC", "".join(sign for sign in apart if unicodedata.category(sign)[0] != "M"))
    words: list[str] = []
    for run in _RUN.findall(text):
        if re.match(f"[{_UNSPACED}]", run):
            pairs = [run[start : start + 2] for start in range(max(1, len(run) - 1))]
            words += [pair for pair in pairs if not _GRAMMAR.fullmatch(pair)]
        else:
            words += [_ENDING.sub("", stem) for stem in stems(run)]
    return words
