"""Take a mail apart into its entities: texts, pages of HTML, attached files, mails within the mail."""

from __future__ import annotations

import base64
import binascii
import quopri
import re
from collections.abc import Sequence
from dataclasses import dataclass

from echo_index.indexer.documents.decoding import decode
from echo_index.indexer.documents.readers.mail.header import Header, parse_header, split_header

_MAX_PARTS = 10_000  # of one multipart
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")


@dataclass(frozen=True, slots=True)
class Entity:
    """A mail or a part of it: its header, and its body as it is written."""

    header: Header
    body: bytes

    @property
    def is_multipart(self) -> bool:
        """Whether the body consists of parts."""
        return self.header.content_type.startswith("multipart/")

    def content(self) -> bytes:
        """Return the body without its transfer encoding. What is broken in it is left out."""
        encoding = self.header.transfer_encoding
        if encoding == "base64":
            return _from_base64(self.body)
        if encoding == "quoted-printable":
            return quopri.decodestring(self.body)
        if encoding in {"x-uuencode", "uuencode", "x-uue", "uue"}:
            return _from_uuencode(self.body)
        return self.body

    def text(self) -> str:
        """Return the content of a text.

        Raises:
            DocumentError: it is no text.
        """
        return decode(self.content(), declared=self.header.parameter("charset"))

    def parts(self) -> list[Entity]:
        """Return the parts of a multipart body."""
        default = "message/rfc822" if self.header.content_type == "multipart/digest" else "text/plain"
        return [
            parse_entity(source, default_type=default)
            for source in _split(self.body, self.header.parameter("boundary").rstrip())
        ]


def parse_entity(source: bytes, *, default_type: str = "text/plain") -> Entity:
    """Return the entity with this source. `default_type` is that of a content whose header does not say it."""
    head, body = split_header(source)
    header = parse_header(head)
    header.message.set_default_type(default_type)
    return Entity(header, body)


def _split(body: bytes, boundary: str) -> Sequence[bytes]:
    """Return the parts between lines with the boundary. The last may have no end, as in a mail that was cut off."""
    if not boundary:
        return [body]
    mark = re.escape(boundary.encode("utf-8", "replace"))
    pattern = re.compile(rb"(?:\A|\r?\n|\r)--" + mark + rb"(?P<last>--)?[ \t]*(?=[\r\n]|\Z)(?:\r?\n|\r)?")
    parts: list[bytes] = []
    start = None
    position = 0
    while (line := pattern.search(body, position)) and len(parts) < _MAX_PARTS:
        if start is not None:
            parts.append(body[start : line.start()])
        start = line.end()
        if line["last"]:
            return parts
        position = max(line.end() - 1, line.start() + 1)  # the line end may begin the next line with the boundary
    return [*parts, body[start:]] if start is not None else [body]


def _from_base64(body: bytes) -> bytes:
    source = _NOT_BASE64.sub(b"", body)
    try:
        return base64.b64decode(source[: len(source) - (len(source) % 4 == 1)] + b"==")
    except binascii.Error:
        return b""


def _from_uuencode(body: bytes) -> bytes:
    content = []
    for line in body.splitlines():
        if not line.startswith((b"begin ", b"end")):
            try:
                content.append(binascii.a2b_uu(line))
            except binascii.Error:  # longer than it says
                content.append(binascii.a2b_uu(line[: ((line[0] - 32 & 63) * 4 + 5) // 3 + 1]) if line else b"")
    return b"".join(content)
