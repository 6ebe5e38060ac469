"""Draw texts from the user guide with a fixed seed.

The same guide, tokenizer and sizes give the same texts on every machine.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from echo_index.embeddings.text.tokenizer import ModelTokenizer

GUIDE = Path(__file__).parents[2] / "docs"
MIN_TOKENS, MAX_TOKENS = 30, 250
"""Range of tokens of a document, by the model's tokenizer."""
MIN_SENTENCE_TOKENS, MAX_SENTENCE_TOKENS = 5, 25
"""Range of tokens of a short sentence."""

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
    """Return texts of 30 to 250 tokens: consecutive sentences, cut at a random length.

    They start at even distances in the guide. The lengths are log-normal and clipped: many short, few long.
    """
    random = Random(seed)
    documents: list[str] = []
    while len(documents) < count:
        start = len(documents) * len(sentences) // count
        length = min(max(round(random.lognormvariate(_MEDIAN, _SPREAD)), MIN_TOKENS), MAX_TOKENS)
        document = _cut([*sentences[start:], *sentences[:start]], vocabulary, length)
        # The last word may have more or fewer tokens once the text after it is cut off.
        if MIN_TOKENS <= len(vocabulary.encode(document)) <= MAX_TOKENS:
            documents.append(document)
    return documents


def draw_sentences(sentences: Sequence[str], vocabulary: ModelTokenizer, *, count: int, seed: int = 2) -> list[str]:
    """Return single sentences of 5 to 25 tokens in random order, repeated if the guide has too few."""
    short = [
        sentence
        for sentence, encoding in zip(sentences, vocabulary.encode_batch(sentences), strict=True)
        if MIN_SENTENCE_TOKENS <= len(encoding.ids) <= MAX_SENTENCE_TOKENS
    ]
    Random(seed).shuffle(short)
    return [short[number % len(short)] for number in range(count)]


def hash_of(texts: Sequence[str]) -> str:
    """Return a short hash, the same for two runs with the same texts."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def _sentences(page: str) -> Iterator[str]:
    for block in _FENCE.sub("", page).split("\n\n"):
        if block.strip() and not block.lstrip("\n").startswith(_NO_PROSE):
            prose = re.sub(r"^\s*[-*] ", "", " ".join(block.split()))
            yield from _SENTENCE_END.split(prose)


def _cut(sentences: Sequence[str], vocabulary: ModelTokenizer, length: int) -> str:
    """Return the first `length` tokens of the joined sentences as text."""
    taken = 1
    while True:
        text = " ".join(sentences[:taken])
        encoding = vocabulary.encode_batch([text])[0]
        if len(encoding.ids) >= length:
            return text[: encoding.offsets[length - 1][1]]
        taken += 1
