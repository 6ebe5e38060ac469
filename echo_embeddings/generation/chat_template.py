"""Conversations as token ids: in the chat template of the model, or as plain text that a base model continues.

Special tokens that a message quotes are encoded as plain text, so a message can never end its own turn.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from echo_index.embeddings.decoder.prompt_cache import PromptTokens
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.errors import ModelError

_PLACEHOLDER = re.compile("\ue000(\\d+)\ue001")  # characters for private use, which no template has


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


COMPLETION_END = "\n"
"""The stop string for answers of a base model, which would go on with questions and answers of its own."""


def conversation_tokens(model: LanguageModel, messages: Sequence[Message]) -> PromptTokens:
    """Return the tokens of a conversation up to the model's answer, in the format that the model is trained on.

    Each message but the last ends a part of the prompt.
    """
    return chat_tokens(model, messages) if model.generation_mode == "chat" else completion_tokens(model, messages)


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


def chat_tokens(model: LanguageModel, messages: Sequence[Message]) -> PromptTokens:
    """Return the tokens of a conversation in the model's chat template, up to the model's answer.

    Special tokens of the template are encoded as such; the same characters in a message are plain text.

    Raises:
        ModelError: the model has no chat template.
    """
    placeholders = [
        {"role": message.role, "content": f"\ue000{number}\ue001"} for number, message in enumerate(messages)
    ]
    ids: list[int] = []
    ends: list[int] = []
    # Splitting by a pattern with a group alternates the text of the template with the numbers of the messages.
    for position, part in enumerate(_PLACEHOLDER.split(_render(model.folder, model.name, placeholders))):
        if position % 2:
            ids += model.tokenizer.encode(messages[int(part)].content)
            ends.append(len(ids))
        else:
            ids += model.tokenizer.encode(part, special_tokens=True)
    return PromptTokens(tuple(ids), tuple(end for end in ends[:-1] if end))


def _render(folder: Path, name: str, messages: list[dict[str, str]]) -> str:
    from jinja2 import TemplateError

    tokenizer = _tokenizer(folder)
    if not tokenizer.chat_template:
        raise ModelError(f"The model {name} has no chat template.", remedy="Use an instruction-tuned model.")
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    except TemplateError as error:
        if len(messages) < 2 or messages[0]["role"] != "system":
            raise ModelError(f"The chat template of the model {name} rejects this conversation: {error}") from None
        # Some templates have no system role: then the system message opens the first message of the user.
        first, second, *others = messages
        merged = {"role": second["role"], "content": f"{first['content']}\n\n{second['content']}"}
        return str(tokenizer.apply_chat_template([merged, *others], tokenize=False, add_generation_prompt=True))


@cache
def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True)
