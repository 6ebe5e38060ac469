"""Addresses of files on other machines, such as `s3://bucket/docs/a.md`, and how they are written as paths.

An index stores the address itself. Where the code has paths, its scheme is the first part: `s3:/bucket/docs/a.md`.
Paths of files on this machine are absolute there, so one is never taken for the other.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

# One letter and a colon are a drive of Windows. Addresses that are joined with `::` are recognized to be refused.
_URL = re.compile(r"(?:[\w+.-]+::)*([A-Za-z][A-Za-z0-9+.-]+)://")
_PATH = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):[/\\]")
ROOTED = frozenset(("file", "local"))
"""Schemes whose addresses name no machine: the path begins at the root."""


def is_url(text: str) -> bool:
    """Return whether a text is an address, not a path."""
    return _URL.match(text) is not None


def url_scheme(url: str) -> str:
    """Return what stands before `://`, or '' in a path."""
    match = _URL.match(url)
    return match[1].lower() if match else ""


def url_path(url: str) -> Path:
    """Return an address as a path. Empty parts and those that are one dot do not survive, so it must have none."""
    scheme, rest = url.split("://", 1)
    return Path(f"{scheme}:") / rest.strip("/")


def path_url(path: Path | str) -> str:
    """Return the address that a path stands for, or '' if it is that of a file on this machine."""
    text = path if isinstance(path, str) else path.as_posix()
    if text.startswith("/") or not (match := _PATH.match(text)):
        return ""
    root = "/" if match[1] in ROOTED else ""
    return f"{match[1]}://{root}{text[match.end() :]}"


def folders_above(stored: str) -> list[str]:
    """Return the folders above a stored path or address, the nearest first; neither the root nor a scheme alone."""
    if not is_url(stored):
        return [str(folder) for folder in PurePosixPath(stored).parents if str(folder) not in (".", "/")]
    return [path_url(folder) for folder in url_path(stored).parents if len(folder.parts) > 1]
