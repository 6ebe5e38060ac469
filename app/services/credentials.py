"""Who may come in: names and passwords from the environment or a file. Knows nothing of what is behind the door."""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from echo_index.errors import EchoIndexError

ENVIRONMENT = "env"
AUTH_VARIABLE = "ECHO_INDEX_AUTH"
_FORM = "Each line is NAME:PASSWORD; empty lines and lines that begin with # are left out."

Authenticator = Callable[[str, str], bool]
"""Told a name and a password, returns whether they belong together."""


def read_authenticator(where: str) -> Authenticator:
    """Return the gate for the passwords in the environment ("env") or in a file.

    Raises:
        EchoIndexError: there are no passwords there, or a line is none.
    """
    if where == ENVIRONMENT:
        text, source = os.environ.get(AUTH_VARIABLE, ""), f"The environment variable {AUTH_VARIABLE}"
    else:
        source = f"The file {where}"
        try:
            text = Path(where).read_text(encoding="utf-8-sig")  # some editors begin a file with a byte order mark
        except (OSError, UnicodeDecodeError) as error:
            raise EchoIndexError(f"{source} with passwords cannot be read: {error}.", remedy=_FORM) from None
    return _gate(_passwords(text, source))


def _passwords(text: str, source: str) -> dict[str, str]:
    passwords = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, password = line.strip().partition(":")
        if not (name and colon and password):
            # The line itself may be a password: it is not shown.
            raise EchoIndexError(f"{source} has no NAME:PASSWORD in line {number}.", remedy=_FORM)
        passwords[name] = password
    if not passwords:
        raise EchoIndexError(f"{source} holds no passwords.", remedy=_FORM)
    return passwords


def _gate(passwords: Mapping[str, str]) -> Authenticator:
    def is_right(name: str, password: str) -> bool:
        # A wrong name takes as long as a wrong password.
        right = passwords.get(name, "")
        return hmac.compare_digest(right.encode(), password.encode()) and name in passwords

    return is_right
