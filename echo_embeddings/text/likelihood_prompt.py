"""LikelihoodPrompt: the words between a passage and the question that it may lead to, and their token ids. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from echo_index.embeddings.text.prompt_tokens import token_ids
from echo_index.embeddings.text.template import parse_template
from echo_index.embeddings.text.tokenizer import ModelTokenizer
from echo_index.errors import ModelError, PromptError, TextError


class _Slot(Enum):
    PASSAGE = "passage"
    QUESTION = "question"


@dataclass(frozen=True, slots=True)
class LikelihoodTokens:
    """What comes before a question, once for each passage, and the question: token ids.

    The first `fixed` tokens of all prompts are the same, and no tokens of a passage.
    """

    prompts: tuple[tuple[int, ...], ...]
    query: tuple[int, ...]
    fixed: int


@dataclass(frozen=True)
class LikelihoodPrompt:
    """A template with `{passage}` and, at its end, `{question}`; `{{` and `}}` are literal braces.

    The beginning-of-sequence token is not written: it is put in front where the model has one.

    Raises:
        PromptError: a slot is missing, unknown or repeated, or the question is not what the template ends in.
    """

    template: str
    before: str = field(init=False, repr=False, compare=False)
    between: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Parse once; a prompt that exists is a prompt that works."""
        pieces = parse_template(self.template, _Slot)
        if [piece for piece in pieces if isinstance(piece, _Slot)] != [*_Slot] or pieces[-1] is not _Slot.QUESTION:
            raise PromptError(
                f"The template {self.template!r} does not lead from a passage to a question.",
                remedy="Put {passage} into it, and {question} at its end.",
            )
        passage = pieces.index(_Slot.PASSAGE)
        object.__setattr__(self, "before", "".join(map(str, pieces[:passage])))
        object.__setattr__(self, "between", "".join(map(str, pieces[passage + 1 : -1])))

    def assemble(
        self, tokenizer: ModelTokenizer, chunks: Sequence[str], query: str, *, max_tokens: int, context: int
    ) -> LikelihoodTokens:
        """Return the token ids; a passage and the question are each cut to their first `max_tokens` tokens.

        A passage is cut further where all of it would be longer than `context` tokens.

        Raises:
            TextError: the question or a passage is empty, or not valid Unicode.
            ModelError: the context has no room for a passage.
        """
        before, into_passage = _without_space(self.before)
        between, into_question = _without_space(self.between)
        fixed, middle, query_ids = token_ids(tokenizer, [before, between, into_question + query])
        query_ids = query_ids[:max_tokens]
        if not query.strip() or not query_ids:
            raise TextError("The question is empty: no passage makes it likely.")
        fixed = fixed if tokenizer.bos_id is None else [tokenizer.bos_id, *fixed]
        room = min(max_tokens, context - len(fixed) - len(middle) - len(query_ids))
        if room < 1:
            raise ModelError(f"The model reads {context} tokens: too few for a passage and this question.")
        for number, passage in enumerate(chunks):
            if not passage.strip():
                raise TextError(f"Passage {number} of {len(chunks)} is empty: there is nothing to read.")
        read = token_ids(tokenizer, [into_passage + passage for passage in chunks])
        return LikelihoodTokens(
            prompts=tuple((*fixed, *ids[:room], *middle) for ids in read), query=tuple(query_ids), fixed=len(fixed)
        )


def _without_space(words: str) -> tuple[str, str]:
    """Return the words and the spaces that end them, which belong to what follows: there tokens begin with a space."""
    kept = words.rstrip(" ")
    return kept, words[len(kept) :]
