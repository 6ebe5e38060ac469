"""Types of fields that several bodies have."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from echo_index.app.api.limits import MAX_NAME_CHARACTERS, MAX_NAMES


def whole(value: Any) -> Any:
    """Return 1 for 1.0: JSON has one kind of number, and JSON Schema takes both for integers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(whole)]
"""An integer, also where the model is strict."""
Positive = Annotated[int, Field(ge=1), BeforeValidator(whole)]
"""An integer from 1."""
Names = Annotated[list[Annotated[str, Field(max_length=MAX_NAME_CHARACTERS)]], Field(max_length=MAX_NAMES)]
"""Names of documents, formats or collections."""
