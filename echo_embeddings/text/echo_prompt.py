"""Parse and validate the prompt templates that make a model read a text twice."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from echo_index.embeddings.text.template import parse_template
from echo_index.errors import PromptError


class Slot(Enum):
    """A placeholder in a template."""

    INSTRUCTION = "instruction"
    """The task instruction. Never pooled."""
    TEXT = "text"
    """The first copy of the text: pooled for a classical embedding, never for an echo embedding."""
    ECHO = "echo"
    """The second copy of the text, whose tokens attend to the whole first copy: pooled for the echo embedding."""
    END = "end"
    """The model's end-of-sequence token; pooled together with the second copy that it follows."""


Piece = str | Slot


@dataclass(frozen=True)
class EchoPrompt:
    """A template with `{echo}` and optionally `{instruction}`, `{text}` and `{end}`; `{{` and `}}` are literal braces.

    The beginning-of-sequence token is not part of the template: it is added if the model has one.

    Raises:
        PromptError: the template has no `{echo}`, an unknown or repeated slot, or slots in an impossible order.
    """

    template: str
    pieces: tuple[Piece, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Parse and validate the template."""
        pieces = parse_template(self.template, Slot)
        _validate(self.template, pieces)
        object.__setattr__(self, "pieces", pieces)

    @property
    def takes_instruction(self) -> bool:
        """Whether the template has an `{instruction}` slot."""
        return Slot.INSTRUCTION in self.pieces

    @property
    def is_echo(self) -> bool:
        """Whether the prompt contains the text twice. A classical prompt contains it once."""
        return Slot.TEXT in self.pieces


def _validate(template: str, pieces: tuple[Piece, ...]) -> None:
    slots = [piece for piece in pieces if isinstance(piece, Slot)]
    if Slot.ECHO not in slots:
        raise PromptError(
            f"The template {template!r} has nothing to pool: the slot {{echo}} is missing.",
            remedy="Put {echo} where the second copy of the text belongs.",
        )
    after_echo = slots[slots.index(Slot.ECHO) + 1 :]
    for slot in (Slot.TEXT, Slot.INSTRUCTION):
        if slot in after_echo:
            raise PromptError(
                f"The template {template!r} has {{{slot.value}}} after {{echo}}, which cannot attend to it.",
                remedy=f"Put {{{slot.value}}} before {{echo}}.",
            )
    if Slot.END in slots and pieces[-1] is not Slot.END:
        raise PromptError(
            f"The template {template!r} continues after {{end}}, the end of the sequence.",
            remedy="Put {end} at the end of the template.",
        )
    if Slot.END in slots and pieces[-2] is not Slot.ECHO:
        raise PromptError(
            f"The template {template!r} has text between {{echo}} and {{end}}, which are pooled together.",
            remedy="Put {end} directly after {echo}.",
        )


# The prompts of "Repetition Improves Language Model Embeddings" (arXiv 2402.15449), exactly as in its reference
# implementation.
ZERO_SHOT = EchoPrompt("Rewrite the following paragraph: {text} The rewritten paragraph: {echo}")
"""The paper's zero-shot prompt, for models without fine-tuning."""
TUNED_QUERY = EchoPrompt("Instruct:{instruction},\nQuery:{text}\nQuery again:{echo}{end}")
"""The query prompt of the paper's fine-tuned models."""
TUNED_DOCUMENT = EchoPrompt("Document:{text}\nDocument again:{echo}{end}")
"""The document prompt of the paper's fine-tuned models."""
CLASSICAL = EchoPrompt("Write a paragraph: {echo}")
"""A prompt with one copy: the baseline for echo embeddings."""
