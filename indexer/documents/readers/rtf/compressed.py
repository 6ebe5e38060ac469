"""Decompress RTF as mails of Outlook hold it (MS-OXRTFCP).

The package compressed-rtf is not used: it gives up what is cut off or has a wrong checksum, computes checksums byte by
byte in Python, and has no limit.
"""

from __future__ import annotations

import struct

from echo_index.errors import DocumentError

_HEADER = struct.Struct("<II4sI")  # size behind this field, size of the RTF, kind, checksum
_COMPRESSED, _PLAIN = b"LZFu", b"MELA"
_KNOWN = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans "
    rb"SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0" + b"\r\n" + rb"\par \pard\plain\f0\fs20"
    rb"\b\i\u\tab\tx"
)
"""What may be repeated from the beginning on."""
_WINDOW = 4096
_MAX_BYTES = 2**26


def decompress_rtf(content: bytes) -> bytes:
    """Return the RTF in a compressed one. What is cut off is missing.

    Raises:
        DocumentError: it is in no known kind of compression, or longer than 64 MB.
    """
    if len(content) < _HEADER.size:
        raise DocumentError("Its RTF is broken.")
    size, raw_size, kind, _ = _HEADER.unpack_from(content)
    if kind not in {_COMPRESSED, _PLAIN}:
        raise DocumentError(f"Its RTF is compressed in an unknown way, {kind!r}.")
    body = content[_HEADER.size : size + 4]
    return body[:raw_size] if kind == _PLAIN else _decompress(body)


def _decompress(body: bytes) -> bytes:
    """Return the text: each bit of a control byte says whether a byte or a repetition of earlier ones follows."""
    text = bytearray(_KNOWN)
    position = 0
    while position < len(body):
        control = body[position]
        position += 1
        for bit in range(8):
            if not control >> bit & 1:
                text += body[position : position + 1]
                position += 1
                continue
            if position + 2 > len(body):
                return bytes(text[len(_KNOWN) :])
            offset, length = divmod(int.from_bytes(body[position : position + 2], "big"), 16)
            position += 2
            if offset == len(text) % _WINDOW:  # the mark of the end
                return bytes(text[len(_KNOWN) :])
            _repeat(text, distance=(len(text) - offset) % _WINDOW, length=length + 2)
        if len(text) > _MAX_BYTES:
            raise DocumentError("Its RTF is longer than 64 MB.")
    return bytes(text[len(_KNOWN) :])


def _repeat(text: bytearray, *, distance: int, length: int) -> None:
    """Repeat what stands so many bytes before the end; it may reach beyond the end. Before the beginning are blanks."""
    for _ in range(length):
        text.append(text[-distance] if distance <= len(text) else 0x20)
