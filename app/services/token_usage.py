"""How many tokens a model read and wrote for an answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of all runs of the model for one answer, also of that which rewrites the question.

    `is_cut` says whether the text ends because it had as many tokens as it may have. Models elsewhere may not tell.
    """

    prompt_tokens: int = 0
    answer_tokens: int = 0
    is_cut: bool = False


NO_USAGE = TokenUsage()
"""Of an answer that no model wrote."""
