"""Profiles: encoder settings that a build can use, of a known model or from a file that a calibration wrote."""

from __future__ import annotations

import json
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from echo_index.app.services.encoder_factory import EncoderOptions
from echo_index.errors import ModelError, SourceError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from echo_index.retriever.tuning.calibration import Choice

_KEYS = ("model", "layer", "pooling", "document_prompt", "query_prompt", "instruction")


def write_profile(path: Path, choice: Choice, *, model: str, layer: int | str, instruction: str, comment: str) -> None:
    """Write the chosen settings of a model to a profile that begins with a one-line comment.

    Raises:
        SourceError: the file cannot be written.
    """
    settings = {
        "model": model,
        "layer": str(layer),
        "pooling": choice.pooling.value,
        "document_prompt": choice.prompts.document,
        "query_prompt": choice.prompts.query,
        "instruction": instruction,
    }
    # A JSON string is also a valid TOML string.
    lines = [f"# {comment}", *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items())]
    try:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise SourceError(f"The profile {path} cannot be written: {error.strerror}.") from None


def with_profile(options: EncoderOptions, profile: str) -> EncoderOptions:
    """Return the options completed from a file or the profile of a known model; options that are given override it.

    Raises:
        SourceError: there is neither a file nor a profile of this name, or the file cannot be read or is no profile.
    """
    from echo_index.embeddings.models.profiles import find_profile, profile_names

    path = Path(profile).expanduser()
    if path.is_file():
        return _with_file(options, path)
    try:
        known = find_profile(profile)
    except ModelError:
        raise SourceError(
            f"There is no profile {profile}: neither a file nor the profile of a known model.",
            remedy=f"Name a file that echo-index calibrate wrote, or one of these: {', '.join(profile_names())}.",
        ) from None
    model = options.model or known.names[0]
    # A model has the settings of its own profile anyway, or those that its adapter was trained for.
    return replace(options, model=model, profile=None if model in known.names else known.name)


def _with_file(options: EncoderOptions, path: Path) -> EncoderOptions:
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SourceError(f"The profile {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise SourceError(f"The profile {path} is not TOML: {error}.", remedy=_REMEDY) from None
    for key, value in settings.items():
        if key not in _KEYS or not isinstance(value, str):
            raise SourceError(f"The profile {path} has an unknown setting: {key} = {value!r}.", remedy=_REMEDY)
    given = {field.name for field in fields(options) if getattr(options, field.name) is not None}
    return replace(options, **{key: value for key, value in settings.items() if key not in given})


_REMEDY = f"The settings are {', '.join(_KEYS)}, all strings; echo-index calibrate writes a profile."
