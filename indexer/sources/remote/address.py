"""Validate the address of a source. One that may hold a password is refused: an index would store it."""

from __future__ import annotations

import re
import unicodedata

from echo_index.errors import SourceError
from echo_index.indexer.storage.urls import ROOTED, url_scheme

_QUERY = re.compile(r"\?[^/]*=")
_PORT = re.compile(r"\d*")
_WEB = frozenset(("http", "https"))
# Where `NAME@` before the host is a user, a container or a repository, and no key.
_WITH_NAME = frozenset(("sftp", "ssh", "smb", "ftp", "hdfs", "webhdfs", "abfs", "abfss", "hf"))
_KEEP_OUT = "Leave it out: the driver takes keys and passwords from its own environment or settings."
_BREAKS = "\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}"


def valid_address(text: str) -> str:
    """Return an address in the form in which an index stores it.

    Raises:
        SourceError: it may hold a password, joins several addresses, or cannot be that of a folder or a file.
    """
    scheme, rest = url_scheme(text), text.split("://", 1)[1]
    shown = _without_secrets(text)
    host = rest.partition("/")[0]
    before, at, _ = host.rpartition("@")
    if "::" in text:
        raise SourceError(f"The address {shown} joins several; one is expected.", remedy="Name the folder or file.")
    has_key = bool(at) and (":" in before or scheme not in _WITH_NAME)
    if has_key or not _PORT.fullmatch(host.rpartition("@")[2].partition(":")[2]):
        raise SourceError(f"The address {shown} may hold a password, which an index would store.", remedy=_KEEP_OUT)
    if _QUERY.search(rest) or (scheme in _WEB and "?" in rest):
        raise SourceError(
            f"The address {shown} has a query, which may hold a password, and an index would store it.",
            remedy=_KEEP_OUT,
        )
    if has_control_characters(text):
        raise SourceError(f"The address {printable(text)} holds control characters.", remedy="Check the spelling.")
    if scheme in ROOTED and not rest.startswith("/"):
        raise SourceError(f"The address {text} names a machine.", remedy=f"Write {scheme}:///FOLDER.")
    parts = rest.strip("/").split("/")
    if {"", ".", ".."} & {*parts} or (scheme not in ROOTED | {"memory"} and rest.startswith("/")):
        raise SourceError(
            f"The address {text} has an empty part, or one of dots, instead of a name.",
            remedy="Write it as s3://BUCKET/FOLDER.",
        )
    root = "/" if scheme in ROOTED else ""
    return f"{scheme}://{root}{'/'.join(parts)}"


def has_control_characters(text: str) -> bool:
    """Return whether a name has characters that would break the output of a terminal, or are no text."""
    return any(character in _BREAKS or unicodedata.category(character) in ("Cc", "Cs") for character in text)


def printable(name: str) -> str:
    r"""Return a name with control characters as `\x1b`, so that it can be shown."""
    return "".join(
        character.encode("unicode_escape").decode() if has_control_characters(character) else character
        for character in name
    )


def _without_secrets(url: str) -> str:
    """Return an address with `…` in place of what may be a password."""
    scheme, rest = url.split("://", 1)
    rest, query, _ = rest.partition("?")
    _, at, after = rest.rpartition("@")
    if at:
        rest = f"…@{after}"
    elif ":" in rest.partition("/")[0]:
        rest = "…"
    return printable(f"{scheme}://{rest}{'?…' if query else ''}")
