"""Read the header of a mail or of a part of it: its fields, decoded."""

from __future__ import annotations

import base64
import binascii
import quopri
import re
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from itertools import groupby

from echo_index.errors import DocumentError
from echo_index.indexer.documents.decoding import decode
from echo_index.indexer.documents.readers.invisible import without_invisible

_MAX_HEADER = 1 << 20  # bytes; the rest is not read
_MAX_FIELD = 100_000  # characters
_MAX_PARAMETERS = 2_000  # characters; the parser takes quadratic time
_FIELD_NAME = re.compile(rb"[!-9;-~]{1,200}[ \t]*:")
_BLANK_LINE = re.compile(rb"(?:\A|\r?\n|\r(?!\n))(?:\r?\n|\r(?!\n))")
_FROM_LINE = re.compile(rb"\s*>?From [^\r\n]*\r?\n")
_ENCODED_WORD = re.compile(r"=\?(?P<charset>[^?\s]{1,60})\?(?P<encoding>[bBqQ])\?(?P<text>[^?\n]*)\?=")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Header:
    """The fields of a header. `message` holds those that describe the content."""

    message: Message
    fields: dict[str, str]

    @property
    def content_type(self) -> str:
        """The type of the content in lower case: "text/plain"."""
        return self.message.get_content_type()

    @property
    def transfer_encoding(self) -> str:
        """How the content is written as ASCII: "base64"; empty if it is not said."""
        return str(self.message.get("content-transfer-encoding", "")).strip().lower()

    @property
    def is_attachment(self) -> bool:
        """Whether the content is said to be an attachment."""
        return self.message.get_content_disposition() == "attachment"

    @property
    def file_name(self) -> str:
        """The name of the attached file, without folders; empty if there is none."""
        name = _parameter(self.message, "filename", "content-disposition") or _parameter(self.message, "name")
        return plain_file_name(_decode_words(name))

    def parameter(self, name: str) -> str:
        """Return a parameter of the content type, such as the charset; empty if it is not there."""
        return _parameter(self.message, name)

    def field(self, name: str) -> str:
        """Return a field as a person sees it, on one line; empty if it is not there."""
        return on_one_line(_decode_words(self.fields.get(name, "")))


def plain_file_name(name: str) -> str:
    """Return the name of an attached file without folders."""
    return re.split(r"[/\\]", on_one_line(name))[-1].strip()[:200]


def on_one_line(value: str) -> str:
    """Return a text as a person sees it on one line."""
    return " ".join(_CONTROL.sub(" ", without_invisible(value)).split())


def split_header(content: bytes) -> tuple[bytes, bytes]:
    """Return the header and the body of a mail or of a part of it. There may be no header."""
    if start := _FROM_LINE.match(content[:_MAX_PARAMETERS]):
        content = content[start.end() :]
    content = content.removeprefix(b"\xef\xbb\xbf")
    if content[:1] not in (b"\r", b"\n") and not _FIELD_NAME.match(content):
        return b"", content
    end = _BLANK_LINE.search(content)
    return (content[: end.start()], content[end.end() :]) if end else (content, b"")


def parse_header(source: bytes) -> Header:
    """Return the fields of a header; of a field that is there twice, the first."""
    parsed = HeaderParser().parsestr(_decode(source[:_MAX_HEADER]).strip("\n") + "\n")
    fields: dict[str, str] = {}
    for name, value in parsed.items():
        fields.setdefault(name.lower().strip(), str(value)[:_MAX_FIELD])
    message = Message()
    for name in ("content-type", "content-disposition", "content-transfer-encoding"):
        if name in fields:
            message[name] = on_one_line(fields[name][:_MAX_PARAMETERS])
    return Header(message, fields)


def _decode(source: bytes) -> str:
    try:
        return decode(source)
    except DocumentError:
        return source.decode("latin-1")


def _parameter(message: Message, name: str, header: str = "content-type") -> str:
    try:
        value = message.get_param(name, "", header)
        if isinstance(value, tuple):
            charset, _, encoded = value
            return _decode_charset(encoded.encode("latin-1", "replace"), charset or "")
    except (ValueError, LookupError, TypeError):  # of numbers and charsets that are none
        return ""
    return str(value or "")


def _decode_words(value: str) -> str:
    """Return a value with its encoded words decoded. A character may be divided between two words."""
    pieces: list[str | tuple[str, bytes]] = []
    end = 0
    for word in _ENCODED_WORD.finditer(value):
        between = value[end : word.start()]
        if between.strip() or not pieces:
            pieces.append(between)
        charset = word["charset"].partition("*")[0].lower()
        pieces.append((charset, _word_bytes(word["text"], is_base64=word["encoding"] in "bB")))
        end = word.end()
    pieces.append(value[end:])
    decoded = []
    for charset, group in groupby(pieces, key=lambda piece: piece[0] if isinstance(piece, tuple) else None):
        if charset is None:
            decoded += [piece for piece in group if isinstance(piece, str)]
        else:
            decoded.append(_decode_charset(b"".join(piece[1] for piece in group if isinstance(piece, tuple)), charset))
    return "".join(decoded)


def _word_bytes(text: str, *, is_base64: bool) -> bytes:
    source = text.encode("utf-8", "replace")
    if not is_base64:
        return quopri.decodestring(source, header=True)
    try:
        return base64.b64decode(source + b"===")
    except binascii.Error:
        return source


def _decode_charset(content: bytes, charset: str) -> str:
    try:
        return decode(content, declared=charset)
    except DocumentError:
        return content.decode("latin-1")
