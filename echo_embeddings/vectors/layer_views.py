"""A view: one copy of the text as one layer sees it. An embedding is pooled from one view or from several."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from echo_index.errors import ModelError, PromptError

_VIEW = re.compile(r"(?:([0-9]*\.?[0-9]+)\s*\*\s*)?(?:(text|echo):)?(-?[0-9]{1,4})")


class TextPass(str, Enum):
    """Which of the two readings of a text, by its slot in the prompt."""

    TEXT = "text"
    """The first: each token has seen only what stands before it."""
    ECHO = "echo"
    """The second, or the only one: in an echo, each token has seen the whole text."""


@dataclass(frozen=True, slots=True)
class LayerView:
    """The tokens of one copy at one layer, counted as `hidden_states` in transformers.

    `weight` is that of its unit vector beside those of other views.
    """

    text_pass: TextPass
    layer: int
    weight: float = 1.0

    def __str__(self) -> str:
        """Return what `parse_views` reads."""
        place = f"{self.text_pass.value}:{self.layer}"
        return place if self.weight == 1 else f"{self.weight:g}*{place}"


def parse_views(text: str | int) -> tuple[LayerView, ...]:
    """Read views as a person writes them: "16" is the echo at layer 16, "echo:16+0.5*text:13" is two views.

    Raises:
        ModelError: the text says something else, or a view twice.
    """
    views = []
    for part in str(text).split("+"):
        match = _VIEW.fullmatch(part.strip())
        if match is None:
            raise ModelError(
                f"There is no layer {str(text)!r}.",
                remedy="Write its number, such as 16, or views of both copies: echo:16+0.5*text:13.",
            )
        views.append(LayerView(TextPass(match[2] or "echo"), int(match[3]), weight=float(match[1] or 1)))
    if len({(view.text_pass, view.layer) for view in views}) < len(views):
        raise ModelError(f"A view stands twice in {str(text)!r}.", remedy="Name each once.")
    return tuple(views)


def deepest_layer(views: Sequence[LayerView]) -> int:
    """Return the last layer that has to be run."""
    return max(view.layer for view in views)


def told_views(views: Sequence[LayerView]) -> str | int:
    """Return views as `parse_views` reads them: the number of the layer where the echo at one layer is all."""
    told = "+".join(map(str, views))
    return views[0].layer if told == f"{TextPass.ECHO.value}:{views[0].layer}" else told


def chosen_views(layer: int | str | None, default: tuple[LayerView, ...], reads_twice: bool) -> tuple[LayerView, ...]:
    """Return the views that are named, else those of `default` that prompts which read once or twice have.

    Raises:
        PromptError: a layer that cannot be read, or a view of the first copy where a text is read once.
    """
    if layer is None:
        if reads_twice:
            return default
        only_copy = tuple(view for view in default if view.text_pass is TextPass.ECHO)
        return only_copy or (LayerView(TextPass.ECHO, deepest_layer(default)),)
    views = parse_views(layer)
    if not reads_twice and any(view.text_pass is TextPass.TEXT for view in views):
        raise PromptError(
            f"A prompt that reads a text once has no first copy for {told_views(views)}.",
            remedy="Put {text} before {echo}, or name the layer alone.",
        )
    return views
