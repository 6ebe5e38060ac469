"""Tool calls in the text of a model: JSON in <tool_call> tags, as Qwen and Hermes models are trained to write them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

from langchain_core.messages import ToolCallChunk
from langchain_core.messages.tool import tool_call_chunk

from echo_index.embeddings.generation.grammar import Grammar, json_rule, token_or_text
from echo_index.embeddings.text.tokenizer import ModelTokenizer
from echo_index.errors import TextError

_BEGIN, _END = "<tool_call>", "</tool_call>"
_CALL = re.compile(rf"{_BEGIN}(.*?)(?:{_END}|\Z)", re.DOTALL)
# A small model often leaves the tags out, and writes bare JSON: a text may not begin like that.
_PLAIN_TEXT = r"TEXT: /[^<{`\s][\s\S]*/"

Tool = Mapping[str, Any]
"""A tool in the format of OpenAI: {"type": "function", "function": {"name": …, "parameters": JSON Schema}}."""


def tool_grammar(tools: Sequence[Tool], choice: str | None, tokenizer: ModelTokenizer) -> Grammar | None:
    """Return the grammar of a message of a model that has these tools.

    Args:
        tools: The tools.
        tokenizer: That of the model, which may have tokens of their own for the tags.
        choice: "auto" or None for text or calls, "none" for any text, "any" or "required" for one call, or the name of
            the tool to call.

    Raises:
        TextError: there is no such tool, or the schema of a tool cannot be followed.
    """
    functions = {str(tool["function"]["name"]): tool["function"] for tool in tools}
    if choice == "none" or not functions:
        return None
    if choice in functions:
        functions = {choice: functions[choice]}
    elif choice not in {None, "auto", "any", "required"}:
        raise TextError(f"There is no tool {choice!r} to choose.", remedy=f"The tools are {', '.join(functions)}.")
    start = "TEXT | calls" if choice in {None, "auto"} else "call"
    begin, end = (token_or_text(tag, tokenizer) for tag in (_BEGIN, _END))
    rules = [f"start: {start}", _PLAIN_TEXT, 'calls: call ("\\n" call)*']
    names = []
    for number, (name, function) in enumerate(functions.items()):
        schema = function.get("parameters") or {"type": "object", "properties": {}}
        before, after = json.dumps(f'\n{{"name": {json.dumps(name)}, "arguments": '), json.dumps("}\n")
        rules += [
            f"call_{number}: {begin} {before} arguments_{number} {after} {end}",
            f"arguments_{number}: {json_rule(schema)}",
        ]
        names.append(f"call_{number}")
    rules.append(f"call: {' | '.join(names)}")
    return Grammar.of_lark("\n".join(rules))


class ToolCallReader:
    """Separates the calls in a text that is being written from the text around them."""

    def __init__(self) -> None:
        self._pending = ""  # a call, or what may be the beginning of one

    def add(self, piece: str) -> str:
        """Append what the model wrote next; return the text that belongs to no call."""
        self._pending += piece
        text, tag, rest = self._pending.partition(_BEGIN)
        if not tag:
            held = next((size for size in range(len(_BEGIN) - 1, 0, -1) if text.endswith(_BEGIN[:size])), 0)
            text, rest = text[: len(text) - held], text[len(text) - held :]
        self._pending = tag + rest
        return text

    def end(self) -> tuple[str, list[ToolCallChunk]]:
        """Return the rest of the text, and the calls.

        A call that is no JSON has no name, and what was written instead of arguments: LangChain calls it invalid.
        """
        if not self._pending.startswith(_BEGIN):
            return self._pending, []
        return "", [_chunk(call, number) for number, call in enumerate(_CALL.finditer(self._pending))]


def _chunk(written: re.Match[str], number: int) -> ToolCallChunk:
    name, arguments = None, written[0]
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        call = json.loads(written[1])
        name, arguments = str(call["name"]), json.dumps(call.get("arguments", {}), ensure_ascii=False)
    return tool_call_chunk(name=name, args=arguments, id=f"call_{uuid4().hex}", index=number)
