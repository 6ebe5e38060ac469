"""Parse and validate the prompt templates that make a model read a text twice, or once."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from echo_index.embeddings.text.template import parse_template, slot_texts
from echo_index.errors import PromptError


class Slot(Enum):
    """A placeholder in a template."""

    INSTRUCTION = "instruction"
    """The task instruction. Never pooled."""
    TEXT = "text"
    """The first copy of the text: pooled for a classical embedding, never for an echo embedding. Without a second copy,
    the only one, which is tokenized together with the words in front of it."""
    ECHO = "echo"
    """The second copy of the text, whose tokens attend to the whole first copy: pooled for the echo embedding."""
    END = "end"
    """The end-of-sequence token, or the token named in `{end:NAME}`; pooled together with the copy before it."""


Piece = str | Slot


@dataclass(frozen=True)
class EchoPrompt:
    """A template with `{echo}` and optionally `{instruction}`, `{text}` and `{end}`; `{{` and `}}` are literal braces.

    A template with `{text}` alone is one string with the text at its end, as models with one copy are trained.
    `{instruction:,}` is the instruction with a comma that is tokenized together with it; any text can follow the colon.
    The beginning-of-sequence token is not part of the template: it is added if the model has one.

    Raises:
        PromptError: the template has no text, an unknown or repeated slot, or slots in an impossible order.
    """

    template: str
    pieces: tuple[Piece, ...] = field(init=False, repr=False, compare=False)
    end_token: str | None = field(init=False, repr=False, compare=False)
    """The name of the token that `{end}` stands for; None for the end-of-sequence token of the model."""
    after_instruction: str = field(init=False, repr=False, compare=False)
    """What is tokenized together with the instruction, after it."""

    def __post_init__(self) -> None:
        """Parse and validate the template."""
        pieces = parse_template(self.template, Slot, annotated=(Slot.INSTRUCTION, Slot.END))
        _validate(self.template, pieces)
        texts = slot_texts(self.template)
        object.__setattr__(self, "pieces", pieces)
        object.__setattr__(self, "end_token", texts.get(Slot.END.value))
        object.__setattr__(self, "after_instruction", texts.get(Slot.INSTRUCTION.value, ""))

    @property
    def takes_instruction(self) -> bool:
        """Whether the template has an `{instruction}` slot."""
        return Slot.INSTRUCTION in self.pieces

    @property
    def is_echo(self) -> bool:
        """Whether the prompt contains the text twice. A classical prompt contains it once."""
        return Slot.TEXT in self.pieces and Slot.ECHO in self.pieces

    @property
    def is_joined(self) -> bool:
        """Whether the prompt contains the text once and both are tokenized as one string."""
        return Slot.ECHO not in self.pieces


def _validate(template: str, pieces: tuple[Piece, ...]) -> None:
    slots = [piece for piece in pieces if isinstance(piece, Slot)]
    pooled = Slot.ECHO if Slot.ECHO in slots else Slot.TEXT
    if pooled not in slots:
        raise PromptError(
            f"The template {template!r} has nothing to pool: the slot {{echo}} is missing.",
            remedy="Put {echo} where the second copy of the text belongs, or {text} alone for one copy.",
        )
    after_pooled = slots[slots.index(pooled) + 1 :]
    for slot in (Slot.TEXT, Slot.INSTRUCTION):
        if slot in after_pooled:
            raise PromptError(
                f"The template {template!r} has {{{slot.value}}} after {{{pooled.value}}}, which cannot attend to it.",
                remedy=f"Put {{{slot.value}}} before {{{pooled.value}}}.",
            )
    if Slot.END in slots and pieces[-1] is not Slot.END:
        raise PromptError(
            f"The template {template!r} continues after {{end}}, the end of the sequence.",
            remedy="Put {end} at the end of the template.",
        )
    if Slot.END in slots and pieces[-2] is not pooled:
        raise PromptError(
            f"The template {template!r} has text between {{{pooled.value}}} and {{end}}, which are pooled together.",
            remedy=f"Put {{end}} directly after {{{pooled.value}}}.",
        )
    if pooled is Slot.TEXT and pieces[-1] not in (Slot.TEXT, Slot.END):
        raise PromptError(
            f"The template {template!r} contains the text once and continues after it.",
            remedy="End it with {text} or {text}{end}, or add {echo} for a second copy.",
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
