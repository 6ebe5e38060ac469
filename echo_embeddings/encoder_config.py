"""What decides an encoder's vectors, readable and as a fingerprint. Knows no model and makes no vectors."""

from __future__ import annotations

import hashlib
import json

from echo_index.embeddings.decoder.linear import Precision
from echo_index.errors import ModelError

EncoderConfig = dict[str, str | int | None]

FORMAT = 1
"""Part of each description: raised when the same settings come to give other vectors."""

_DTYPES = {Precision.FP32: "float32", Precision.BF16: "bfloat16", Precision.INT8: "int8"}
_NAMES = {"model", "adapter"}  # where the weights lie: they may move, it is their hash that counts
_LONGEST_SHOWN = 40  # characters of a hash or a prompt in a message


def fingerprint(config: EncoderConfig) -> str:
    """Return the SHA-256 of a description but for the model's name, in hexadecimal: equal means comparable vectors."""
    told = {name: value for name, value in config.items() if name not in _NAMES}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def differences(built: EncoderConfig, wanted: EncoderConfig) -> list[str]:
    """Return what differs between two descriptions, a clause each; empty where vectors are comparable."""
    names = [name for name in wanted if built.get(name) != wanted[name]]
    if set(names) <= _NAMES:
        return []
    return [f"{name} was {_shown(built.get(name))} and is now {_shown(wanted[name])}" for name in names]


def dtype_of(precision: Precision) -> str:
    """Return how a precision is called in a description."""
    return _DTYPES[precision]


def precision_of(dtype: str) -> Precision:
    """Return the precision that a description calls so.

    Raises:
        ModelError: it is of a later version.
    """
    for precision, known in _DTYPES.items():
        if known == dtype:
            return precision
    raise ModelError(f"The index was built in {dtype}, which this version does not know.", remedy="Use a later one.")


def _shown(value: str | int | None) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…'"
