"""A conversation to token ids: by the model's own chat template, or as a text that a base model goes on with.

In a chat template, what a message quotes can never end its turn. Knows nothing of what is talked about.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.errors import ModelError

_MARK = re.compile("\ue000(\\d+)\ue001")  # of the private use area: in no template


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


COMPLETION_END = "\n"
"""What ends the answer of a base model: it would go on with questions and answers of its own."""


def conversation_tokens(model: LanguageModel, messages: Sequence[Message]) -> list[int]:
    """Return the token ids of a conversation, up to where the model's answer begins, in the form the model knows."""
    return chat_tokens(model, messages) if model.generation_mode == "chat" else completion_tokens(model, messages)


def completion_tokens(model: LanguageModel, messages: Sequence[Message]) -> list[int]:
    """Return the token ids of a text that stops where an answer must follow.

    What a user says stands as it is, `Answer:` stands before what an assistant says, and an empty line after it.
    """
    forms = {"system": "{}\n\n", "user": "{}\n", "assistant": "Answer: {}\n\n"}
    told = "".join(forms[message.role].format(message.content) for message in messages)
    bos = [] if model.tokenizer.bos_id is None else [model.tokenizer.bos_id]
    return bos + model.tokenizer.encode(f"{told}Answer:")


def chat_tokens(model: LanguageModel, messages: Sequence[Message]) -> list[int]:
    """Return the token ids of a conversation, up to where the model's answer begins.

    The template's special tokens mean what they say; the same characters in a message are plain text.

    Raises:
        ModelError: the model has no chat template.
    """
    marked = [{"role": message.role, "content": f"\ue000{number}\ue001"} for number, message in enumerate(messages)]
    ids: list[int] = []
    # re.split with a group alternates the template's own text with the numbers of the messages
    for position, part in enumerate(_MARK.split(_render(model.folder, model.name, marked))):
        if position % 2:
            ids += model.tokenizer.encode(messages[int(part)].content)
        else:
            ids += model.tokenizer.encode(part, special_tokens=True)
    return ids


def _render(folder: Path, name: str, messages: list[dict[str, str]]) -> str:
    from jinja2 import TemplateError

    tokenizer = _tokenizer(folder)
    if not tokenizer.chat_template:
        raise ModelError(f"The model {name} has no chat template.")
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    except TemplateError as error:
        if len(messages) < 2 or messages[0]["role"] != "system":
            raise ModelError(f"The chat template of the model {name} refuses this conversation: {error}") from None
        # some templates know no system turn: its words open the first user turn then
        first, second, *others = messages
        merged = {"role": second["role"], "content": f"{first['content']}\n\n{second['content']}"}
        return str(tokenizer.apply_chat_template([merged, *others], tokenize=False, add_generation_prompt=True))


@cache
def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True)
