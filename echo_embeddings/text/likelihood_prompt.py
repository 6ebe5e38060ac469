"""Build the token ids of prompts that measure how likely a query is after each chunk."""

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
    """Token ids of a prompt for each chunk, up to the query, and of the query.

    The first `fixed` tokens are the same in all prompts; they come before the chunk.
    """

    prompts: tuple[tuple[int, ...], ...]
    query: tuple[int, ...]
    fixed: int


@dataclass(frozen=True)
class LikelihoodPrompt:
    """A template with `{passage}` and, at its end, `{question}`; `{{` and `}}` are literal braces.

    The beginning-of-sequence token is not part of the template: it is added if the model has one.

    Raises:
        PromptError: a slot is missing, unknown or repeated, or the template does not end with `{question}`.
    """

    template: str
    before: str = field(init=False, repr=False, compare=False)
    between: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Parse and validate the template."""
        pieces = parse_template(self.template, _Slot)
        if [piece for piece in pieces if isinstance(piece, _Slot)] != [*_Slot] or pieces[-1] is not _Slot.QUESTION:
            raise PromptError(
                f"The template {self.template!r} does not lead from a passage to a question.",
                remedy="Put {passage} into it and {question} at its end.",
            )
        passage = pieces.index(_Slot.PASSAGE)
        object.__setattr__(self, "before", "".join(map(str, pieces[:passage])))
        object.__setattr__(self, "between", "".join(map(str, pieces[passage + 1 : -1])))

    def assemble(
        self, tokenizer: ModelTokenizer, chunks: Sequence[str], query: str, *, max_tokens: int, context: int
    ) -> LikelihoodTokens:
        """Return the token ids; each chunk and the query are truncated to their first `max_tokens` tokens.

        A chunk is truncated further if the whole prompt would be longer than `context` tokens.

        Raises:
            TextError: the query or a chunk is empty or not valid Unicode.
            ModelError: the context has no room for a chunk.
        """
        before, chunk_spaces = _split_trailing_spaces(self.before)
        between, query_spaces = _split_trailing_spaces(self.between)
        fixed, middle, query_ids = token_ids(tokenizer, [before, between, query_spaces + query])
        query_ids = query_ids[:max_tokens]
        if not query.strip() or not query_ids:
            raise TextError("The question is empty.")
        fixed = fixed if tokenizer.bos_id is None else [tokenizer.bos_id, *fixed]
        room = min(max_tokens, context - len(fixed) - len(middle) - len(query_ids))
        if room < 1:
            raise ModelError(f"The model reads {context} tokens at most: too few for a passage and this question.")
        for number, chunk in enumerate(chunks):
            if not chunk.strip():
                raise TextError(f"Passage {number} of {len(chunks)} is empty.")
        chunk_ids = token_ids(tokenizer, [chunk_spaces + chunk for chunk in chunks])
        return LikelihoodTokens(
            prompts=tuple((*fixed, *ids[:room], *middle) for ids in chunk_ids), query=tuple(query_ids), fixed=len(fixed)
        )


def _split_trailing_spaces(text: str) -> tuple[str, str]:
    """Split off trailing spaces: they are tokenized with the text that follows, as tokens begin with a space."""
    stripped = text.rstrip(" ")
    return stripped, text[len(stripped) :]
