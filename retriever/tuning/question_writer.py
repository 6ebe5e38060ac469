"""Let a language model write what people would ask or type to find a passage."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import takewhile
from typing import TYPE_CHECKING

from echo_index.errors import ModelError
from echo_index.indexer.documents.chunking import embedded_text
from echo_index.indexer.text.language_detection import certain_language
from echo_index.retriever.tuning.inverse_cloze import SourcePassage

if TYPE_CHECKING:
    from echo_index.embeddings.models.language_model import LanguageModel


class QuestionKind(str, Enum):
    """What a written question is; the value is how the model is told."""

    QUESTION = "Question"
    """A question about a fact of the passage."""
    NEED = "Need"
    """What somebody asks who needs the passage and does not know its words."""
    SEARCH = "Search"
    """A few words for a search engine."""
    STATEMENT = "Statement"
    """A claim that the passage proves."""


@dataclass(frozen=True, slots=True)
class WrittenQuestion:
    """A question that a model wrote for a passage."""

    kind: QuestionKind
    text: str


PROMPT_VERSION = 1
"""Changes with all that decides about what a model writes for a passage."""
_TASK = (
    "You write what people type into a search box. For each passage: a question about a fact in it; a question of "
    "somebody who needs it, in other words than those of the passage; two to five words of a search; a statement that "
    "it proves. Each is understood without the passage, and in the language of the passage."
)
_EXAMPLES = (
    (
        "English",
        "Backup > Schedules: By default a backup runs each night at 2 a.m. and keeps the last 14 copies. `backupctl "
        "set --keep N` changes how many are kept. If the target disk is full, the oldest copy is deleted first, and a "
        "warning is written to /var/log/backupctl.log.",
        (
            "How many nightly backups does backupctl keep by default?",
            "my disk fills up with old snapshots, how do I store fewer of them",
            "backupctl retention number of copies",
            "backupctl deletes the oldest copy when the target disk has no space left.",
        ),
    ),
    (
        "German",
        "Rotkehlchen: Das Rotkehlchen singt auch im Winter, Männchen wie Weibchen. Beide verteidigen dann eigene "
        "Reviere. Das Nest liegt meist am Boden, gut versteckt unter Wurzeln; ab April legt das Weibchen fünf bis "
        "sieben Eier, die es allein ausbrütet.",
        (
            "Wie viele Eier legt ein Rotkehlchen?",
            "welcher kleine Vogel ist in der kalten Jahreszeit zu hören",
            "Rotkehlchen Nest Brut",
            "Beim Rotkehlchen brütet nur das Weibchen.",
        ),
    ),
    (
        "English",
        "We compare three ways of cooling greenhouse roofs in dry climates. Evaporative pads lowered the peak "
        "temperature by 9 degrees, shading nets by 5, and whitewash by 3; the pads used 40 litres of water a square "
        "metre and day, which makes nets the better choice where water is scarce.",
        (
            "By how many degrees do evaporative pads cool a greenhouse?",
            "keeping plants under glass from overheating in an area without much rain",
            "greenhouse roof cooling water use comparison",
            "Shading nets are preferable to evaporative pads where water is scarce.",
        ),
    ),
)
_ENDINGS = (QuestionKind.QUESTION, QuestionKind.SEARCH)
"""The first label of each continuation; it goes on with the label after it. Two are written at once."""
_STOP = f"\n{QuestionKind.SEARCH.value}:"
_MAX_TOKENS = 64  # of two questions
_MAX_CHARACTERS = 2400  # of a passage that the model reads
_MIN_LENGTH, _MAX_WORDS, _MAX_LENGTH = 4, 30, 240  # of a question, in characters and words
_SCRIPTS = {"CJK": "Chinese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean"}
_NUMBER = re.compile(r"\d+")
_ABOUT_THE_TEXT = re.compile(r"\b(?:passage|this (?:paper|text|document|article|section|function))\b", re.IGNORECASE)


class QuestionWriter:
    """Writes up to four questions for each passage: one of each kind.

    Few-shot prompting as in InPars (Bonifacio et al., arXiv 2202.05144) and Promptagator (Dai et al., arXiv
    2209.11755). The examples are read once, and each passage once for all of its questions.

    Args:
        model: A language model that writes, such as the result of `load_writer`.
    """

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    @property
    def weights_hash(self) -> str:
        """The SHA-256 of the weights of the model, in hexadecimal."""
        return self._model.weights_hash

    def write(self, passages: Sequence[SourcePassage]) -> Iterator[tuple[int, list[WrittenQuestion]]]:
        """Yield the index of each passage with its questions, in batches of passages of similar length.

        What is too long, too short, about "the passage", or has a number that is not in the passage, is left out.

        Raises:
            ModelError: the examples and a passage do not fit into the context of the model.
        """
        from echo_index.embeddings.generation.branching_generation import BranchingPrompts, generate_branches

        if not passages:
            return
        texts = [embedded_text("", passage.headings, passage.text) for passage in passages]
        prompts = [self._prompt(text) for text in texts]
        longest = max(len(prompt) for prompt in prompts) + _MAX_TOKENS
        if longest > self._model.context:
            raise ModelError(
                f"The model {self._model.name} has a context of {self._model.context} tokens; to write questions for "
                f"these passages, it needs about {longest}.",
                remedy="Let another model write: --writer NAME",
            )
        shared = _shared_length(prompts)
        endings = [tuple(self._model.tokenizer.encode(f"{kind.value}:")) for kind in _ENDINGS]
        branching = BranchingPrompts(prompts[0][:shared], [prompt[shared:] for prompt in prompts], endings)
        for positions, written in generate_branches(self._model, branching, max_tokens=_MAX_TOKENS, stop=_STOP):
            for position, continuations in zip(positions, written, strict=True):
                yield position, list(_questions(continuations, texts[position]))

    def _prompt(self, text: str) -> tuple[int, ...]:
        from echo_index.embeddings.generation.chat_template import Message, conversation_tokens

        messages = [Message("system", _TASK)]
        for language, passage, questions in _EXAMPLES:
            lines = (f"{kind.value}: {question}" for kind, question in zip(QuestionKind, questions, strict=True))
            messages += [Message("user", _passage(passage, language)), Message("assistant", "\n".join(lines))]
        messages.append(Message("user", _passage(text[:_MAX_CHARACTERS], language_name(text))))
        return conversation_tokens(self._model, messages).ids


def language_name(text: str) -> str:
    """Return the English name of the language of a text; "" if it is not certain."""
    scripts = [_SCRIPTS.get(unicodedata.name(char, "").partition(" ")[0]) for char in text if char.isalpha()]
    known = [script for script in scripts if script is not None]
    if 4 * len(known) > len(scripts):
        return "Japanese" if "Japanese" in known else max(set(known), key=known.count)
    return (certain_language(text) or "").capitalize()


def _passage(text: str, language: str) -> str:
    return f"Passage in {language}: {text}" if language else f"Passage: {text}"


def _shared_length(prompts: Sequence[tuple[int, ...]]) -> int:
    """Return how many tokens all prompts begin with, but not all of any."""
    shortest = min(len(prompt) for prompt in prompts) - 1
    positions = range(shortest)
    return len([*takewhile(lambda position: len({prompt[position] for prompt in prompts}) == 1, positions)])


def _questions(continuations: Sequence[str], passage: str) -> Iterator[WrittenQuestion]:
    """Yield the usable questions of the continuations of a passage: one of each kind, and none twice."""
    numbers = {*_NUMBER.findall(passage)}
    seen: set[str] = set()
    kinds: set[QuestionKind] = set()
    for first, continuation in zip(_ENDINGS, continuations, strict=True):
        for line in f"{first.value}:{continuation}".splitlines():
            label, _, text = line.partition(":")
            text = " ".join(text.split()).strip("\"'“”„ ")
            kind = next((kind for kind in QuestionKind if kind.value == label), None)
            if kind is None or kind in kinds or text.casefold() in seen or not _is_usable(text, numbers):
                continue
            seen.add(text.casefold())
            kinds.add(kind)
            yield WrittenQuestion(kind, text)


def _is_usable(text: str, numbers: set[str]) -> bool:
    return (
        _MIN_LENGTH <= len(text) <= _MAX_LENGTH
        and len(text.split()) <= _MAX_WORDS
        and numbers.issuperset(_NUMBER.findall(text))
        and not _ABOUT_THE_TEXT.search(text)
    )
