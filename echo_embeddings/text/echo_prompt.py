"""EchoPrompt: the sentence around a text that makes a model read it twice. Knows nothing of tokens or models."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from echo_index.embeddings.text.template import parse_template
from echo_index.errors import PromptError


class Slot(Enum):
    """What a template can hold besides its own words."""

    INSTRUCTION = "instruction"
    """The task, in words. Never pooled."""
    TEXT = "text"
    """The first copy of the text: what a classical embedding is made of, never part of an echo embedding."""
    ECHO = "echo"
    """The second copy of the text, whose tokens have seen all of it: this is what is pooled."""
    END = "end"
    """The model's end-of-sequence token; pooled together with the echo it follows."""


Piece = str | Slot


@dataclass(frozen=True)
class EchoPrompt:
    """A template with `{echo}` and, as wished, `{instruction}`, `{text}` and `{end}`; `{{` and `}}` are literal braces.

    The beginning-of-sequence token is not written: it is put in front where the model has one.

    Raises:
        PromptError: no `{echo}` to pool, an unknown or repeated slot, or slots in an order that cannot work.
    """

    template: str
    pieces: tuple[Piece, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Parse once; a prompt that exists is a prompt that works."""
        pieces = parse_template(self.template, Slot)
        _check(self.template, pieces)
        object.__setattr__(self, "pieces", pieces)

    @property
    def takes_instruction(self) -> bool:
        """Whether the template has an `{instruction}` slot."""
        return Slot.INSTRUCTION in self.pieces

    @property
    def is_echo(self) -> bool:
        """Whether the text is read twice; a classical prompt reads it once."""
        return Slot.TEXT in self.pieces


def _check(template: str, pieces: tuple[Piece, ...]) -> None:
    slots = [piece for piece in pieces if isinstance(piece, Slot)]
    if Slot.ECHO not in slots:
        raise PromptError(
            f"The template {template!r} has nothing to pool: the slot {{echo}} is missing.",
            remedy="Put {echo} where the text stands for the second time.",
        )
    after_echo = slots[slots.index(Slot.ECHO) + 1 :]
    for slot in (Slot.TEXT, Slot.INSTRUCTION):
        if slot in after_echo:
            raise PromptError(
                f"The template {template!r} has {{{slot.value}}} after {{echo}}, which could not see it.",
                remedy=f"Put {{{slot.value}}} before {{echo}}.",
            )
    if Slot.END in slots and pieces[-1] is not Slot.END:
        raise PromptError(f"The template {template!r} goes on after {{end}}, the end of the sequence.")
    if Slot.END in slots and pieces[-2] is not Slot.ECHO:
        raise PromptError(
            f"The template {template!r} has words between {{echo}} and {{end}}, which are pooled as one.",
            remedy="Put {end} straight after {echo}.",
        )


# The prompts of "Repetition Improves Language Model Embeddings", arXiv 2402.15449, as its reference implementation
# writes them.
ZERO_SHOT = EchoPrompt("Rewrite the following paragraph: {text} The rewritten paragraph: {echo}")
"""The paper's zero-shot prompt, for any model as it is."""
TUNED_QUERY = EchoPrompt("Instruct:{instruction},\nQuery:{text}\nQuery again:{echo}{end}")
"""The query side of the paper's fine-tuned models."""
TUNED_DOCUMENT = EchoPrompt("Document:{text}\nDocument again:{echo}{end}")
"""The document side of the paper's fine-tuned models."""
CLASSICAL = EchoPrompt("Write a paragraph: {echo}")
"""One copy only: the baseline that echo embeddings are measured against."""
