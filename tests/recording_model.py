"""A chat model that is told what to say, and keeps what it was asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from pydantic import Field


class Recording(FakeListChatModel):
    """Gives its responses in turn, and keeps the prompts."""

    prompts: list[str] = Field(default_factory=list)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        self.prompts.append(str(messages[-1].text))
        yield from super()._stream(messages, stop=stop, run_manager=run_manager, **kwargs)

    def _call(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> str:
        self.prompts.append(str(messages[-1].text))
        return super()._call(messages, *args, **kwargs)
