"""Read the recommended settings of known models from profiles.toml."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from echo_index.embeddings.text.echo_prompt import EchoPrompt
from echo_index.embeddings.text.likelihood_prompt import LikelihoodPrompt
from echo_index.embeddings.vectors.layer_views import LayerView, parse_views
from echo_index.embeddings.vectors.pooling import Pooling
from echo_index.errors import ModelError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Profile:
    """Recommended settings of a model; profiles.toml explains the fields, `name` is that of the table."""

    name: str
    names: tuple[str, ...]
    views: tuple[LayerView, ...] | None
    document: EchoPrompt
    query: EchoPrompt
    instruction: str
    likelihood: LikelihoodPrompt
    pooling: Pooling
    max_tokens: int
    writes: Literal["completion", "chat"] | None
    only_embeds: bool
    context: int
    examples: bool
    refusal_bias: float


def profile_for(name: str) -> Profile:
    """Return the profile for exactly this model name, else the zero-shot settings of arXiv 2402.15449."""
    profiles = _profiles()
    return next((profile for profile in profiles if name in profile.names), profiles[0])


def find_profile(name: str) -> Profile:
    """Return the profile of this name, or of the model of this name; capital letters do not matter.

    Raises:
        ModelError: there is no such profile.
    """
    wanted = name.casefold()
    for profile in _profiles()[1:]:
        if wanted in map(str.casefold, (profile.name, *profile.names)):
            return profile
    raise ModelError(f"There is no profile {name!r}.", remedy=f"The profiles are: {', '.join(profile_names())}.")


def reminding_of(path: str) -> Profile | None:
    """Return the profile of the model that a folder or a GGUF file is called after, if its path is not a known name."""
    profiles, file_name = _profiles()[1:], Path(path).name.casefold()
    if any(path in profile.names for profile in profiles):
        return None
    return next((profile for profile in profiles if file_name.startswith(profile.name)), None)


def profile_names() -> tuple[str, ...]:
    """Return the names of the profiles of known models."""
    return tuple(profile.name for profile in _profiles()[1:])


def only_embeds(config: Mapping[str, object]) -> bool:
    """Return whether the model of an encoder's config is one that only embeds, which its prompts and pooling tell.

    An index of a copy of such a model in a folder does not say which model it is.
    """
    used = [config.get(name) for name in ("document_prompt", "query_prompt", "pooling")]
    return config.get("adapter") is None and any(
        profile.only_embeds and used == [profile.document.template, profile.query.template, profile.pooling.value]
        for profile in _profiles()
    )


@cache
def _profiles() -> tuple[Profile, ...]:
    tables = tomllib.loads((files("echo_index.embeddings.models") / "profiles.toml").read_text(encoding="utf-8"))
    default = tables.pop("default")
    return tuple(_parse_profile(name, {**default, **table}) for name, table in {"default": {}, **tables}.items())


def _parse_profile(name: str, table: dict[str, Any]) -> Profile:
    return Profile(
        name=name,
        names=tuple(table.get("names", ())),
        views=parse_views(table["layer"]) if "layer" in table else None,
        document=EchoPrompt(table["document"]),
        query=EchoPrompt(table["query"]),
        instruction=table["instruction"],
        likelihood=LikelihoodPrompt(table["likelihood"]),
        pooling=Pooling(table["pooling"]),
        max_tokens=table["max_tokens"],
        writes=table.get("writes"),
        only_embeds=table.get("only_embeds", False),
        context=table["context"],
        examples=table.get("examples", True),
        refusal_bias=table.get("refusal_bias", 0.0),
    )
