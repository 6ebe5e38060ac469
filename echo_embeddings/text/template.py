"""Split prompt templates into literal text and slots."""

from __future__ import annotations

from enum import Enum
from string import Formatter
from typing import TypeVar

from echo_index.errors import PromptError

SlotKind = TypeVar("SlotKind", bound=Enum)


def parse_template(template: str, slots: type[SlotKind]) -> tuple[str | SlotKind, ...]:
    """Return the literal text and the slots of a template in order; a slot is written as its value in braces.

    Raises:
        PromptError: the template has a single brace, an unknown slot or a slot twice.
    """
    pieces: list[str | SlotKind] = []
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise PromptError(
            f"The template {template!r} cannot be read: {error}.",
            remedy="Write literal braces as {{ and }}.",
        ) from None
    for literal, name, specification, conversion in parts:
        if literal:
            if pieces and isinstance(pieces[-1], str):  # an escaped brace splits literal text in two
                pieces[-1] += literal
            else:
                pieces.append(literal)
        if name is None:
            continue
        if specification or conversion or name not in {slot.value for slot in slots}:
            raise PromptError(
                f"The template {template!r} has an unknown slot {{{name}}}.",
                remedy=f"The slots are {_enumerate(slots)}.",
            )
        if slots(name) in pieces:
            raise PromptError(
                f"The template {template!r} has the slot {{{name}}} more than once.", remedy="Use it once."
            )
        pieces.append(slots(name))
    return tuple(pieces)


def _enumerate(slots: type[Enum]) -> str:
    *others, last = (f"{{{slot.value}}}" for slot in slots)
    return f"{', '.join(others)} and {last}"
