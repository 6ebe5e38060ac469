"""The names of members of archives: their encodings, and whether they may be used as paths."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Sequence
from unicodedata import normalize
from zipfile import ZipInfo

from echo_index.indexer.documents.legacy_encodings import guess_legacy

SEPARATOR = "!/"
"""Stands between the path of an archive and that of a member."""

_UTF8_FLAG = 0x800
_UNICODE_PATH = 0x7075  # an extra field with the name in UTF-8, and a checksum of the name for which it stands
_DRIVE = re.compile(r"[A-Za-z]:/")
_MAX_LENGTH = 4096  # characters, as in file systems
_FOREIGN_FOLDERS = frozenset(("__MACOSX",))  # resource forks, which macOS adds


def member_path(name: str) -> str | None:
    """Return the path of a member with composed letters, or None if it leads out of the archive or cannot be used."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or name.startswith("/") or _DRIVE.match(name) or len(name) > _MAX_LENGTH:
        return None
    return normalize("NFC", "/".join(parts).encode("utf-8", "replace").decode("utf-8"))


def is_hidden(path: str) -> bool:
    """Return whether a member is hidden, or in a hidden folder."""
    return any(part.startswith(".") or part in _FOREIGN_FOLDERS for part in path.split("/"))


def zip_names(members: Sequence[ZipInfo]) -> list[str]:
    """Return the names of the members of a ZIP, with `/` between folders.

    What is not marked as UTF-8 is in the encoding of the computer on which the archive was made, the same for all.
    """
    stored = [None if member.flag_bits & _UTF8_FLAG else _stored_name(member) for member in members]
    encoding = _common_encoding([name for name in stored if name is not None])
    names = [
        _unicode_path(member, name) or (member.orig_filename if name is None else name.decode(encoding, "replace"))
        for member, name in zip(members, stored, strict=True)
    ]
    return [name.partition("\0")[0].replace("\\", "/") for name in names]


def tar_name(name: str) -> str:
    """Return the name of a member of a TAR, which is given as UTF-8 in which wrong bytes are lone surrogates."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        stored = name.encode("utf-8", "surrogateescape")
        return stored.decode(guess_legacy(stored), "replace")
    return name


def _stored_name(member: ZipInfo) -> bytes:
    return member.orig_filename.encode("cp437")


def _common_encoding(names: Sequence[bytes]) -> str:
    content = b"\n".join(names)
    if content.isascii():
        return "ascii"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return guess_legacy(content)
    return "utf-8"


def _unicode_path(member: ZipInfo, stored: bytes | None) -> str:
    """Return the name in the extra field for it, '' if there is none or it stands for another name."""
    extra = member.extra
    while len(extra) >= 4:
        kind, length = struct.unpack("<HH", extra[:4])
        field, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind == _UNICODE_PATH and len(field) > 5 and stored is not None:
            version, checksum = struct.unpack("<BL", field[:5])
            if version == 1 and checksum == zlib.crc32(stored):
                return field[5:].decode("utf-8", "replace")
    return ""
