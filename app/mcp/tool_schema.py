"""Describe the tools to assistants, from the docstrings and types of their methods, and check what they are given."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from echo_index.app.services.document_tools import DocumentTools
from echo_index.errors import QuestionError

TOOL_TITLES = {
    "search": "Search documents",
    "read": "Read a document",
    "ask": "Ask the local model",
    "similar": "Find similar passages",
    "list_documents": "List documents",
    "status": "Show what is indexed",
}
"""The names of the tools, the most useful ones first, and how people see them."""

_ARGUMENT = re.compile(r"(?m)^ {4}(\w+): (.*(?:\n {8}.*)*)")
_MAX_SHOWN = 80  # characters of a wrong argument in an error


@dataclass(frozen=True)
class ToolDescription:
    """A tool as assistants see it."""

    name: str
    title: str
    description: str
    arguments: type[BaseModel]
    result: type[BaseModel]


@cache
def describe_tool(name: str) -> ToolDescription:
    """Return the description of one of TOOL_TITLES."""
    method = getattr(DocumentTools, name)
    text, _, rest = (inspect.getdoc(method) or "").partition("\n\nArgs:\n")
    meanings = {found[1]: _unwrap(found[2]) for found in _ARGUMENT.finditer(rest.partition("\n\nReturns:")[0])}
    hints = get_type_hints(method)
    fields: dict[str, Any] = {
        parameter.name: (
            hints[parameter.name],
            Field(
                ... if parameter.default is parameter.empty else parameter.default,
                description=meanings[parameter.name],
            ),
        )
        for parameter in [*inspect.signature(method).parameters.values()][1:]
    }
    arguments = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
    description = _unwrap(text.partition("\n\nReturns:")[0])
    return ToolDescription(name, TOOL_TITLES[name], description, arguments, hints["return"])


def call_tool(tools: DocumentTools, name: str, arguments: Mapping[str, Any]) -> BaseModel:
    """Return the result of a tool. An argument that is null has its default.

    Raises:
        QuestionError: there is no such tool, or it does not take these arguments.
        EchoIndexError: the tool cannot answer.
    """
    if name not in TOOL_TITLES:
        raise QuestionError(f"There is no tool {name[:_MAX_SHOWN]!r}.", remedy=f"The tools are {_listed(TOOL_TITLES)}.")
    tool = describe_tool(name)
    given = {key: value for key, value in arguments.items() if value is not None}
    try:
        checked = tool.arguments.model_validate(given)
    except ValidationError as error:
        raise QuestionError(_first_error(tool, error), remedy=_remedy(tool)) from None
    result: BaseModel = getattr(tools, name)(**{key: getattr(checked, key) for key in given})
    return result


def _first_error(tool: ToolDescription, error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0])[:_MAX_SHOWN] if first["loc"] else ""
    if first["type"] == "missing":
        return f"{tool.name} needs the argument {name}."
    if first["type"] == "extra_forbidden":
        return f"{tool.name} has no argument {name!r}."
    shown = repr(first["input"])
    shown = shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}…"
    return f"The argument {name} is {shown}; {first['msg'].replace('Input should be', 'it must be')}."


def _remedy(tool: ToolDescription) -> str:
    names = tool.arguments.model_fields
    return f"Its arguments are {_listed(names)}." if names else "It takes no arguments."


def _listed(names: Mapping[str, Any]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _unwrap(text: str) -> str:
    """Return a text with its paragraphs on one line each."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
