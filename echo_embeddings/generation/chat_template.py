"""Conversations as token ids: in the chat template of the model, or as plain text that a base model continues.

Special tokens that a message quotes are encoded as plain text, so a message can never end its own turn.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from echo_index.embeddings.decoder.prompt_cache import PromptTokens
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.errors import ModelError

# Characters for private use, which no template has. A template writes arguments as JSON, and so in quotes.
_PLACEHOLDER = re.compile('(?:"\ue002|\ue002|\ue000)(\\d+)(?:\ue003"|\ue003|\ue001)')
_TOOL = {"type": "function", "function": {"name": "f", "description": "", "parameters": {"type": "object"}}}
_TOOL_CALL = '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that a model called, with its arguments as JSON."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation: text, the tools that the model called in it, or what a tool returned."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()


COMPLETION_END = "\n"
"""The stop string for answers of a base model, which would go on with questions and answers of its own."""


def conversation_tokens(
    model: LanguageModel, messages: Sequence[Message], *, tools: Sequence[Mapping[str, Any]] = ()
) -> PromptTokens:
    """Return the tokens of a conversation up to the model's answer, in the format that the model is trained on.

    Each message but the last ends a part of the prompt. `tools` are in the format of OpenAI.

    Raises:
        ModelError: there are tools or results of tools, but the model was not trained to call tools.
    """
    has_tools = tools or any(message.role == "tool" or message.tool_calls for message in messages)
    if has_tools and not calls_tools(model):
        raise ModelError(
            f"The model {model.name} was not trained to call tools: its chat template has none.",
            remedy="Use an instruction-tuned model that was, such as Qwen2.5.",
        )
    if model.generation_mode == "chat":
        return chat_tokens(model, messages, tools=tools)
    return completion_tokens(model, messages)


def calls_tools(model: LanguageModel) -> bool:
    """Return whether the chat template of a model describes tools, and has their calls in <tool_call> tags."""
    if model.generation_mode != "chat" or model.chat_template is None:
        return False
    call = {"type": "function", "function": {"name": "f", "arguments": {}}}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
    ]
    try:
        return _TOOL_CALL in _render(model.folder, model.name, messages, tools=[_TOOL])
    except ModelError:
        return False


def completion_tokens(model: LanguageModel, messages: Sequence[Message]) -> PromptTokens:
    """Return the tokens of a conversation as plain text that ends with `Answer:`.

    Messages of the user are unchanged; those of the assistant are preceded by `Answer:` and followed by an empty line.
    The messages before the last one are one part, unless the end of a token is not the end of a message.
    """
    formats = {"system": "{}\n\n", "user": "{}\n", "assistant": "Answer: {}\n\n"}
    texts = [formats[message.role].format(message.content) for message in messages]
    bos = [] if model.tokenizer.bos_id is None else [model.tokenizer.bos_id]
    ids = (*bos, *model.tokenizer.encode(f"{''.join(texts)}Answer:"))
    before = (*bos, *model.tokenizer.encode("".join(texts[:-1]))) if len(texts) > 1 else ()
    return PromptTokens(ids, (len(before),) if before and ids[: len(before)] == before else ())


def chat_tokens(
    model: LanguageModel, messages: Sequence[Message], *, tools: Sequence[Mapping[str, Any]] = ()
) -> PromptTokens:
    """Return the tokens of a conversation in the model's chat template, up to the model's answer.

    Special tokens of the template are encoded as such; the same characters in a message are plain text.

    Raises:
        ModelError: the model has no chat template.
    """
    texts: list[str] = []

    def placeholder(text: str, begin: str, end: str) -> str:
        texts.append(text)
        return f"{begin}{len(texts) - 1}{end}"

    placeholders: list[dict[str, Any]] = []
    for message in messages:
        # Without a text, a template may leave out what is around it.
        content = placeholder(message.content, "\ue000", "\ue001") if message.content or not message.tool_calls else ""
        calls = [
            {
                "type": "function",
                "function": {"name": call.name, "arguments": placeholder(call.arguments, "\ue002", "\ue003")},
            }
            for call in message.tool_calls
        ]
        placeholders.append({"role": message.role, "content": content} | ({"tool_calls": calls} if calls else {}))
    ids: list[int] = []
    ends: list[int] = []
    # Splitting by a pattern with a group alternates the text of the template with the numbers of the messages.
    for position, part in enumerate(_PLACEHOLDER.split(_render(model.folder, model.name, placeholders, tools=tools))):
        if position % 2:
            ids += model.tokenizer.encode(texts[int(part)])
            ends.append(len(ids))
        else:
            ids += model.tokenizer.encode(part, special_tokens=True)
    return PromptTokens(tuple(ids), tuple(end for end in ends[:-1] if end))


def _render(folder: Path, name: str, messages: list[dict[str, Any]], *, tools: Sequence[Mapping[str, Any]] = ()) -> str:
    from jinja2 import TemplateError

    tokenizer = _tokenizer(folder)
    if not tokenizer.chat_template:
        raise ModelError(f"The model {name} has no chat template.", remedy="Use an instruction-tuned model.")
    try:
        return _apply_template(tokenizer, messages, tools)
    except TemplateError as error:
        if len(messages) < 2 or messages[0]["role"] != "system":
            raise ModelError(f"The chat template of the model {name} rejects this conversation: {error}") from None
        # Some templates have no system role: then the system message opens the first message of the user.
        first, second, *others = messages
        merged = {"role": second["role"], "content": f"{first['content']}\n\n{second['content']}"}
        return _apply_template(tokenizer, [merged, *others], tools)


def _apply_template(tokenizer: Any, messages: list[dict[str, Any]], tools: Sequence[Mapping[str, Any]]) -> str:
    rendered = tokenizer.apply_chat_template(
        messages, tools=[*map(dict, tools)] or None, tokenize=False, add_generation_prompt=True
    )
    return str(rendered)


@cache
def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True)
