"""Texts to time, drawn from the user guide with a fixed seed. Knows a vocabulary to count tokens, and no model.

The same guide, vocabulary and sizes give the same texts, on every machine.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from echo_index.embeddings.text.tokenizer import ModelTokenizer

GUIDE = Path(__file__).parents[2] / "docs"
FEWEST, MOST = 30, 250
"""The tokens of a document, by the model's own vocabulary."""
SENTENCE_FEWEST, SENTENCE_MOST = 5, 25
"""The tokens of a short sentence."""

_MEDIAN, _SPREAD = (
    4.6,
    0.55,
)  # of the logarithm of a document's tokens: half have fewer than 100, one in twenty under 40
_NO_PROSE = ("#", "|", "    ", "<", "!", ">")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z`])")


def guide_sentences() -> list[str]:
    """Return the sentences of the guide's prose, page after page."""
    pages = sorted(GUIDE.glob("*.md"))
    return [sentence for page in pages for sentence in _sentences(page.read_text(encoding="utf-8"))]


def draw_documents(sentences: Sequence[str], vocabulary: ModelTokenizer, *, count: int, seed: int = 1) -> list[str]:
    """Return passages of 30 to 250 tokens: sentences that follow each other, cut at a length that is drawn.

    They begin at even distances, all over the guide. The lengths are log-normal and clipped: many short, few long.
    """
    random = Random(seed)
    documents: list[str] = []
    while len(documents) < count:
        start = len(documents) * len(sentences) // count
        length = min(max(round(random.lognormvariate(_MEDIAN, _SPREAD)), FEWEST), MOST)
        document = _cut([*sentences[start:], *sentences[:start]], vocabulary, length)
        # Cut off from what followed, the last word may fall into more tokens than it had, or into fewer.
        if FEWEST <= len(vocabulary.encode(document)) <= MOST:
            documents.append(document)
    return documents


def draw_sentences(sentences: Sequence[str], vocabulary: ModelTokenizer, *, count: int, seed: int = 2) -> list[str]:
    """Return single sentences of 5 to 25 tokens in random order; where the guide has too few, they come again."""
    short = [
        sentence
        for sentence, encoding in zip(sentences, vocabulary.encode_batch(sentences), strict=True)
        if SENTENCE_FEWEST <= len(encoding.ids) <= SENTENCE_MOST
    ]
    Random(seed).shuffle(short)
    return [short[number % len(short)] for number in range(count)]


def hash_of(texts: Sequence[str]) -> str:
    """Return a short hash that tells whether two runs had the same texts."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def _sentences(page: str) -> Iterator[str]:
    for block in _FENCE.sub("", page).split("\n\n"):
        if block.strip() and not block.lstrip("\n").startswith(_NO_PROSE):
            prose = re.sub(r"^\s*[-*] ", "", " ".join(block.split()))
            yield from _SENTENCE_END.split(prose)


def _cut(sentences: Sequence[str], vocabulary: ModelTokenizer, length: int) -> str:
    """Join sentences until they have `length` tokens, and leave out what is more."""
    taken = 1
    while True:
        text = " ".join(sentences[:taken])
        encoding = vocabulary.encode_batch([text])[0]
        if len(encoding.ids) >= length:
            return text[: encoding.offsets[length - 1][1]]
        taken += 1
