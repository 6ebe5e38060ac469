"""Split prompt templates into literal text and slots."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from string import Formatter
from typing import TypeVar

from echo_index.errors import PromptError

SlotKind = TypeVar("SlotKind", bound=Enum)


def parse_template(
    template: str, slots: type[SlotKind], *, annotated: Collection[SlotKind] = ()
) -> tuple[str | SlotKind, ...]:
    """Return the literal text and the slots of a template in order; a slot is written as its value in braces.

    Those of `annotated` may have a text after a colon, which `slot_texts` returns.

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
        known = {slot.value for slot in (annotated if specification else slots)}
        if conversion or name not in known:
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


def slot_texts(template: str) -> dict[str, str]:
    """Return the texts after the colons of slots, by the values of the slots; the template must be valid."""
    return {name: text for _, name, text, _ in Formatter().parse(template) if name and text}


def _enumerate(slots: type[Enum]) -> str:
    *others, last = (f"{{{slot.value}}}" for slot in slots)
    return f"{', '.join(others)} and {last}"
