"""Grammars that a generated text must follow, such as the JSON of a schema, with the tokens that llguidance allows."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask

from echo_index.embeddings.text.tokenizer import ModelTokenizer
from echo_index.errors import TextError

# One way to write a value, that of most training data: with free white space, a small model may write nothing else.
_JSON_STYLE = {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False}


@dataclass(frozen=True, slots=True)
class Grammar:
    """A grammar in the variant of Lark that llguidance reads."""

    definition: str

    @classmethod
    def of_json(cls, schema: Mapping[str, Any]) -> Grammar:
        """Return the grammar of JSON that fits a JSON Schema.

        Raises:
            TextError: the schema cannot be followed.
        """
        return cls.of_lark(f"start: {json_rule(schema)}")

    @classmethod
    def of_lark(cls, definition: str) -> Grammar:
        """Return the grammar of a definition whose first rule is `start`.

        Raises:
            TextError: the definition is wrong, or a schema in it cannot be followed.
        """
        if error := LLMatcher.validate_grammar(LLMatcher.grammar_from_lark(definition)):
            raise TextError(f"The grammar or JSON schema cannot be followed: {' '.join(error.split())}")
        return cls(definition)


def json_rule(schema: Mapping[str, Any]) -> str:
    """Return the right side of a rule for JSON that fits a JSON Schema.

    Objects have only the properties that the schema names, if it names any: models make up others.
    """
    return f"%json {json.dumps({**_closed(schema), 'x-guidance': _JSON_STYLE})}"


def token_or_text(tag: str, tokenizer: ModelTokenizer) -> str:
    """Return the right side of a rule for a tag such as `<tool_call>`: the token of that name, or its text."""
    # llguidance does not take such a token for its text.
    return tag if tokenizer.full().token_to_id(tag) is not None else json.dumps(tag)


def _closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema whose objects have no properties but those that it names."""
    closed = dict(schema)
    for key, value in schema.items():
        if key in {"properties", "$defs", "definitions"}:
            closed[key] = {name: _closed(part) if isinstance(part, Mapping) else part for name, part in value.items()}
        elif key in {"anyOf", "oneOf", "prefixItems"}:
            closed[key] = [_closed(part) if isinstance(part, Mapping) else part for part in value]
        elif key == "items" and isinstance(value, Mapping):
            closed[key] = _closed(value)
    if "properties" in schema:
        closed.setdefault("additionalProperties", False)
    return closed


class GrammarState:
    """A text that is being written in a grammar.

    Args:
        grammar: What the text must be in the end.
        tokenizer: The model's tokenizer.
        vocabulary: The number of logits of the model, at least that of the tokens.
        end_ids: The tokens that end a text.
    """

    def __init__(
        self, grammar: Grammar, tokenizer: ModelTokenizer, *, vocabulary: int, end_ids: Collection[int]
    ) -> None:
        tokens = _grammar_tokenizer(tokenizer, vocabulary, tuple(sorted(end_ids)))
        self._matcher = LLMatcher(tokens, LLMatcher.grammar_from_lark(grammar.definition))
        self._allowed = allocate_token_bitmask(1, vocabulary)
        self._vocabulary = vocabulary

    @property
    def is_complete(self) -> bool:
        """Whether the text is complete, so that only an end could follow."""
        return self._matcher.is_stopped()

    def restrict(self, logits: torch.Tensor) -> None:
        """Set the logits (vocabulary,) of all tokens that may not come next to -inf."""
        fill_next_token_bitmask(self._matcher, self._allowed)
        allowed = np.unpackbits(self._allowed.view(np.uint8)[0], count=self._vocabulary, bitorder="little")
        logits.masked_fill_(torch.from_numpy(allowed == 0).to(logits.device), -torch.inf)

    def accept(self, token: int) -> list[int]:
        """Append a token to the text; return the tokens that must follow it in any case, which are appended, too.

        Raises:
            TextError: the grammar is too large for a text of this length.
        """
        self._matcher.consume_token(token)
        forced: list[int] = self._matcher.compute_ff_tokens()
        self._matcher.consume_tokens(forced)
        if self._matcher.is_error():
            raise TextError(f"The grammar cannot be followed any further: {self._matcher.get_error().splitlines()[0]}")
        return forced


@lru_cache(maxsize=4)
def _grammar_tokenizer(tokenizer: ModelTokenizer, vocabulary: int, end_ids: tuple[int, ...]) -> LLTokenizer:
    """Return a tokenizer of llguidance; that of a large vocabulary takes a second to make."""
    return LLTokenizer(tokenizer.full().to_str(), n_vocab=vocabulary, eos_token=list(end_ids) or None)
