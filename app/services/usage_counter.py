"""Count the tokens of a model by LangChain's callbacks."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from echo_index.app.services.token_usage import NO_USAGE, TokenUsage


class UsageCounter(BaseCallbackHandler):
    """A callback that adds up the tokens of all runs; `usage` is their sum so far."""

    def __init__(self) -> None:
        self.usage = NO_USAGE

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        """Add the tokens of a run that has ended."""
        for generation in (generation for generations in response.generations for generation in generations):
            message = generation.message if isinstance(generation, ChatGeneration) else None
            if isinstance(message, AIMessage):
                counted = message.usage_metadata
                self.usage = TokenUsage(
                    prompt_tokens=self.usage.prompt_tokens + (counted["input_tokens"] if counted else 0),
                    answer_tokens=self.usage.answer_tokens + (counted["output_tokens"] if counted else 0),
                    is_cut=message.response_metadata.get("finish_reason") == "length",
                )
