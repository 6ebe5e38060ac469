"""Read names and passwords from the environment or a file, and check logins against them."""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from echo_index.errors import EchoIndexError

ENVIRONMENT = "env"
AUTH_VARIABLE = "ECHO_INDEX_AUTH"
_FORMAT = "Write one NAME:PASSWORD per line; empty lines and lines that begin with # are ignored."

Authenticator = Callable[[str, str], bool]
"""Return whether a name and a password are right."""


def read_authenticator(where: str) -> Authenticator:
    """Return the authenticator for the passwords in the environment ("env") or in a file.

    Raises:
        EchoIndexError: the passwords cannot be read, there are none, or a line is not NAME:PASSWORD.
    """
    if where == ENVIRONMENT:
        text, source = os.environ.get(AUTH_VARIABLE, ""), f"The environment variable {AUTH_VARIABLE}"
    else:
        source = f"The file {where}"
        try:
            text = Path(where).read_text(encoding="utf-8-sig")  # some editors write a byte order mark
        except (OSError, UnicodeDecodeError) as error:
            raise EchoIndexError(f"{source} with passwords cannot be read: {error}.", remedy=_FORMAT) from None
    return _make_authenticator(_parse_passwords(text, source))


def _parse_passwords(text: str, source: str) -> dict[str, str]:
    passwords = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, password = line.strip().partition(":")
        if not (name and colon and password):
            # The line itself may be a password, so the message does not quote it.
            raise EchoIndexError(f"{source} has no NAME:PASSWORD in line {number}.", remedy=_FORMAT)
        passwords[name] = password
    if not passwords:
        raise EchoIndexError(f"{source} contains no passwords.", remedy=_FORMAT)
    return passwords


def _make_authenticator(passwords: Mapping[str, str]) -> Authenticator:
    def is_valid(name: str, password: str) -> bool:
        # Compare even if the name is unknown: the time must not reveal which names exist.
        expected = passwords.get(name, "")
        return hmac.compare_digest(expected.encode(), password.encode()) and name in passwords

    return is_valid
