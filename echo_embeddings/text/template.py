"""A template's words and slots, in order. Knows nothing of what the slots are for."""

from __future__ import annotations

from enum import Enum
from string import Formatter
from typing import TypeVar

from echo_index.errors import PromptError

SlotKind = TypeVar("SlotKind", bound=Enum)


def parse_template(template: str, slots: type[SlotKind]) -> tuple[str | SlotKind, ...]:
    """Return the words and slots of a template; a slot is `{` the value of one of `slots` `}`, `{{` is a brace.

    Raises:
        PromptError: a brace stands alone, there is no such slot, or a slot stands in it twice.
    """
    pieces: list[str | SlotKind] = []
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise PromptError(
            f"The template {template!r} cannot be read: {error}.",
            remedy="Write a literal brace twice: {{ or }}.",
        ) from None
    for literal, name, specification, conversion in parts:
        if literal:
            if pieces and isinstance(pieces[-1], str):  # an escaped brace splits a literal in two
                pieces[-1] += literal
            else:
                pieces.append(literal)
        if name is None:
            continue
        if specification or conversion or name not in {slot.value for slot in slots}:
            raise PromptError(
                f"The template {template!r} has an unknown slot {{{name}}}.", remedy=f"The slots are {_listed(slots)}."
            )
        if slots(name) in pieces:
            raise PromptError(f"The template {template!r} has the slot {{{name}}} more than once.")
        pieces.append(slots(name))
    return tuple(pieces)


def _listed(slots: type[Enum]) -> str:
    *others, last = (f"{{{slot.value}}}" for slot in slots)
    return f"{', '.join(others)} and {last}"
