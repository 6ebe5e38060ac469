"""A model's settings in a file of a person's own: written by a calibration, read by a build. Knows no model."""

from __future__ import annotations

import json
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from echo_index.app.services.encoder_factory import EncoderOptions
from echo_index.errors import SourceError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from echo_index.retriever.tuning.calibration import Choice

_KEYS = ("model", "layer", "pooling", "document_prompt", "query_prompt")


def write_profile(path: Path, choice: Choice, *, model: str, layer: int | str, told: str) -> None:
    """Write what was chosen for a model; `told` says where it comes from, a line.

    Raises:
        SourceError: the file cannot be written.
    """
    settings = {
        "model": model,
        "layer": str(layer),
        "pooling": choice.pooling.value,
        "document_prompt": choice.prompts.document,
        "query_prompt": choice.prompts.query,
    }
    # A string of JSON is one of TOML too.
    lines = [f"# {told}", *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items())]
    try:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise SourceError(f"The profile {path} cannot be written: {error.strerror}.") from None


def with_profile(options: EncoderOptions, path: Path) -> EncoderOptions:
    """Return the options, with what they leave open as the profile has it.

    Raises:
        SourceError: the file cannot be read, or holds something else than a profile.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SourceError(f"The profile {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise SourceError(f"The profile {path} is not TOML: {error}.", remedy=_REMEDY) from None
    for key, value in found.items():
        if key not in _KEYS or not isinstance(value, str):
            raise SourceError(f"The profile {path} has {key} = {value!r}, which is no setting of one.", remedy=_REMEDY)
    given = {field.name for field in fields(options) if getattr(options, field.name) is not None}
    return replace(options, **{key: value for key, value in found.items() if key not in given})


_REMEDY = f"Its settings are {', '.join(_KEYS)}; echo-index calibrate writes one."
