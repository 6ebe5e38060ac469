"""Describe the settings that determine an encoder's vectors, fingerprint them and compare them."""

from __future__ import annotations

import hashlib
import json

from echo_index.embeddings.decoder.linear import Precision
from echo_index.errors import ModelError

EncoderConfig = dict[str, str | int | None]

FORMAT = 1
"""Part of each config; incremented when a new version gives different vectors for the same settings."""

_DTYPES = {Precision.FP32: "float32", Precision.BF16: "bfloat16", Precision.INT8: "int8"}
_LOCATIONS = {"model", "adapter"}  # weights may be moved: only their hash determines the vectors
_MAX_SHOWN = 40  # characters of a hash or a prompt in a message


def fingerprint(config: EncoderConfig) -> str:
    """Return the SHA-256 of a config, without the locations of the weights, in hexadecimal.

    Encoders with equal fingerprints give comparable vectors.
    """
    hashed = {name: value for name, value in config.items() if name not in _LOCATIONS}
    return hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()


def differences(built: EncoderConfig, wanted: EncoderConfig) -> list[str]:
    """Return a clause for each difference between two configs; empty if their vectors are comparable."""
    names = [name for name in wanted if built.get(name) != wanted[name]]
    if set(names) <= _LOCATIONS:
        return []
    return [f"{name} was {_shorten(built.get(name))} and is now {_shorten(wanted[name])}" for name in names]


def parse_precision(name: Precision | str) -> Precision:
    """Return the precision of this name.

    Raises:
        ModelError: there is no such precision; "auto" is not a precision but a choice between them.
    """
    if name == "auto":
        raise ModelError(
            "The precision 'auto' is measured with an encoder that exists already.",
            remedy='Use EchoEncoder(model).with_precision("auto").',
        )
    try:
        return Precision(name)
    except ValueError:
        names = ", ".join(("auto", *(precision.value for precision in Precision)))
        raise ModelError(f"There is no precision {name!r}.", remedy=f"The precisions are: {names}.") from None


def dtype_of(precision: Precision) -> str:
    """Return the name of a precision in a config."""
    return _DTYPES[precision]


def precision_of(dtype: str) -> Precision:
    """Return the precision that has this name in a config.

    Raises:
        ModelError: the name is unknown; a later version may have written it.
    """
    for precision, name in _DTYPES.items():
        if name == dtype:
            return precision
    raise ModelError(
        f"The index was built in {dtype}, which this version does not know.", remedy="Install a later version."
    )


def _shorten(value: str | int | None) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…'"
