"""Find training pairs that share words with the texts of an evaluation, so that they are not trained on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from echo_index.embeddings.training.pairs import TrainingPair

_WORDS = 10  # consecutive words that two texts have in common by chance only if they are a set phrase
_WORD = re.compile(r"\w+")
_UNSPACED = re.compile(r"([\u3040-\u30ff\u3400-\u9fff])")  # Japanese and Chinese: each character counts as a word


class Overlap:
    """The sequences of ten words of some texts, regardless of case and punctuation. A shorter text counts as one."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._sequences = {hash(sequence) for text in texts for sequence in _sequences(text)}

    def without_shared(self, pairs: Sequence[TrainingPair]) -> list[TrainingPair]:
        """Return the pairs of which neither the query nor a text shares a sequence."""
        return [pair for pair in pairs if not any(map(self._is_shared, (pair.query, pair.positive, *pair.negatives)))]

    def _is_shared(self, text: str) -> bool:
        return any(hash(sequence) in self._sequences for sequence in _sequences(text))


def _sequences(text: str) -> Iterator[tuple[str, ...]]:
    words = _WORD.findall(_UNSPACED.sub(r" \1 ", text).casefold())
    for start in range(max(1, len(words) - _WORDS + 1)):
        yield tuple(words[start : start + _WORDS])
