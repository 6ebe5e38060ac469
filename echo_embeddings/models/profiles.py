"""Read the recommended settings of known models from profiles.toml."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from echo_index.embeddings.text.echo_prompt import EchoPrompt
from echo_index.embeddings.text.likelihood_prompt import LikelihoodPrompt
from echo_index.embeddings.vectors.layer_views import LayerView, parse_views
from echo_index.embeddings.vectors.pooling import Pooling

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Profile:
    """Recommended settings of a model; profiles.toml explains the fields."""

    names: tuple[str, ...]
    views: tuple[LayerView, ...] | None
    document: EchoPrompt
    query: EchoPrompt
    instruction: str
    likelihood: LikelihoodPrompt
    pooling: Pooling
    max_tokens: int
    writes: Literal["completion", "chat"] | None
    context: int
    examples: bool
    refusal_bias: float


def profile_for(name: str) -> Profile:
    """Return the profile for exactly this model name, else the zero-shot settings of arXiv 2402.15449."""
    profiles = _profiles()
    return next((profile for profile in profiles if name in profile.names), profiles[0])


@cache
def _profiles() -> tuple[Profile, ...]:
    tables = tomllib.loads((files("echo_index.embeddings.models") / "profiles.toml").read_text(encoding="utf-8"))
    default = tables.pop("default")
    return tuple(_parse_profile({**default, **table}) for table in ({}, *tables.values()))


def _parse_profile(table: dict[str, Any]) -> Profile:
    return Profile(
        names=tuple(table.get("names", ())),
        views=parse_views(table["layer"]) if "layer" in table else None,
        document=EchoPrompt(table["document"]),
        query=EchoPrompt(table["query"]),
        instruction=table["instruction"],
        likelihood=LikelihoodPrompt(table["likelihood"]),
        pooling=Pooling(table["pooling"]),
        max_tokens=table["max_tokens"],
        writes=table.get("writes"),
        context=table["context"],
        examples=table.get("examples", True),
        refusal_bias=table.get("refusal_bias", 0.0),
    )
