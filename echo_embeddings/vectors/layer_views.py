"""Parse and select layer views: the layers and the text copies whose hidden states are pooled for an embedding."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from echo_index.errors import ModelError, PromptError

_VIEW = re.compile(r"(?:([0-9]*\.?[0-9]+)\s*\*\s*)?(?:(text|echo):)?(-?[0-9]{1,4})")


class TextPass(str, Enum):
    """A copy of the text in the prompt, named after its slot."""

    TEXT = "text"
    """The first copy: each token attends only to the tokens before it."""
    ECHO = "echo"
    """The second copy, or the only one. In a second copy, each token attends to the whole text."""


@dataclass(frozen=True, slots=True)
class LayerView:
    """The hidden states of one copy of the text at one layer, numbered as `hidden_states` in transformers.

    `weight` is the weight of its unit vector in the sum of all views.
    """

    text_pass: TextPass
    layer: int
    weight: float = 1.0

    def __str__(self) -> str:
        """Return the notation that `parse_views` reads."""
        unweighted = f"{self.text_pass.value}:{self.layer}"
        return unweighted if self.weight == 1 else f"{self.weight:g}*{unweighted}"


def parse_views(text: str | int) -> tuple[LayerView, ...]:
    """Parse the notation of views: "16" is the second copy at layer 16, "echo:16+0.5*text:13" is two views.

    Raises:
        ModelError: the notation is invalid or names a view twice.
    """
    views = []
    for part in str(text).split("+"):
        match = _VIEW.fullmatch(part.strip())
        if match is None:
            raise ModelError(
                f"There is no layer {str(text)!r}.",
                remedy="Name a layer by its number, such as 16, or views of both copies: echo:16+0.5*text:13.",
            )
        views.append(LayerView(TextPass(match[2] or "echo"), int(match[3]), weight=float(match[1] or 1)))
    if len({(view.text_pass, view.layer) for view in views}) < len(views):
        raise ModelError(f"A view is repeated in {str(text)!r}.", remedy="Name each view once.")
    return tuple(views)


def deepest_layer(views: Sequence[LayerView]) -> int:
    """Return the last layer that has to be run."""
    return max(view.layer for view in views)


def format_views(views: Sequence[LayerView]) -> str | int:
    """Return the notation of views; a single unweighted view of the second copy is just the number of its layer."""
    notation = "+".join(map(str, views))
    return views[0].layer if notation == f"{TextPass.ECHO.value}:{views[0].layer}" else notation


def select_views(layer: int | str | None, default: tuple[LayerView, ...], reads_twice: bool) -> tuple[LayerView, ...]:
    """Return the views that `layer` names, or the views of `default` that exist if it is None.

    If the prompts contain the text once (`reads_twice` is false), there is no first copy.

    Raises:
        ModelError: `layer` is not valid notation.
        PromptError: `layer` names a view of the first copy, which the prompts do not have.
    """
    if layer is None:
        if reads_twice:
            return default
        second_copy = tuple(view for view in default if view.text_pass is TextPass.ECHO)
        return second_copy or (LayerView(TextPass.ECHO, deepest_layer(default)),)
    views = parse_views(layer)
    if not reads_twice and any(view.text_pass is TextPass.TEXT for view in views):
        raise PromptError(
            f"A prompt that contains the text once has no first copy for {format_views(views)}.",
            remedy="Put {text} before {echo}, or name only the number of the layer.",
        )
    return views
