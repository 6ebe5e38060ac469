"""Read the plain text of a mail: join its flowed lines, and take out what is armoured by PGP."""

from __future__ import annotations

import re
from dataclasses import dataclass

from echo_index.indexer.documents.readers.invisible import without_invisible

SIGNATURE_MARK = "-- "

_QUOTED = re.compile(r"(?P<marks>>*)(?P<text>.*)")
_ARMOUR = re.compile(
    r"^-----BEGIN PGP (?P<kind>MESSAGE|SIGNATURE|PUBLIC KEY BLOCK)[^\n]{0,40}-----[ \t]*$"
    r"(?:\n(?!-----END PGP ).*)*(?:\n-----END PGP .*)?",
    re.MULTILINE,
)
_SIGNED = re.compile(r"^-----BEGIN PGP SIGNED MESSAGE-----[ \t]*\n(?:Hash: .*\n)*\n?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PlainText:
    """The text that a person reads, and whether there is encrypted text beside it."""

    text: str
    has_encrypted: bool


def plain_text(source: str, *, is_flowed: bool, deletes_spaces: bool) -> PlainText:
    """Return the text of a mail. `deletes_spaces` is the parameter `delsp` of flowed text (RFC 3676)."""
    if is_flowed:
        source = _join_flowed(source, deletes_spaces=deletes_spaces)
    has_encrypted = any(armour["kind"] == "MESSAGE" for armour in _ARMOUR.finditer(source))
    text = _SIGNED.sub("", _ARMOUR.sub("", source))
    lines = (line.rstrip() for line in without_invisible(text).split("\n"))
    return PlainText("\n".join(lines).strip("\n"), has_encrypted)


def _join_flowed(source: str, *, deletes_spaces: bool) -> str:
    """Return text in which a line that ends with a space goes on in the next, if both are quoted as deeply."""
    lines: list[str] = []
    open_depth = None  # how deep the last line is quoted if it goes on
    for line in source.split("\n"):
        quoted = _QUOTED.fullmatch(line)
        marks, text = (quoted["marks"], quoted["text"]) if quoted else ("", line)
        text = text.removeprefix(" ")
        is_signature = text == SIGNATURE_MARK
        goes_on = text.endswith(" ") and not is_signature
        shown = text[:-1] if goes_on and deletes_spaces else text
        if open_depth == len(marks) and not is_signature:
            lines[-1] += shown
        else:
            lines.append(f"{marks} {shown}" if marks else shown)
        open_depth = len(marks) if goes_on else None
    return "\n".join(lines)
