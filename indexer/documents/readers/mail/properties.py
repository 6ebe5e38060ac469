"""Read the properties of a mail, a recipient or an attachment as Outlook keeps them (MS-OXMSG)."""

from __future__ import annotations

import struct
from datetime import datetime, timedelta, timezone
from functools import cached_property

from echo_index.errors import DocumentError
from echo_index.indexer.documents.decoding import decode
from echo_index.indexer.documents.readers.code_pages import codec_of_code_page
from echo_index.indexer.documents.readers.mail.compound import Storage

_FIXED = struct.Struct("<HHIQ")  # type, identifier, flags, value
_UNICODE, _TEXT, _BINARY, _OBJECT = 0x001F, 0x001E, 0x0102, 0x000D
_INTEGERS = {0x0002, 0x0003, 0x000B}
_TIME = 0x0040
_EPOCH = datetime(1601, 1, 1, tzinfo=timezone.utc)
_MESSAGE_CODE_PAGE, _INTERNET_CODE_PAGE = 0x3FFD, 0x3FDE


class Properties:
    """The properties of a storage by their identifiers, such as 0x0037 for the subject."""

    def __init__(self, storage: Storage, *, header: int, code_page: int | None = None) -> None:
        """Take the storage, the size of the header before its fixed properties, and the code page of its texts."""
        self._storage, self._header, self._code_page = storage, header, code_page

    @cached_property
    def _fixed(self) -> dict[tuple[int, int], int]:
        content = (self._storage.stream("__properties_version1.0") or b"")[self._header :]
        whole = content[: len(content) // _FIXED.size * _FIXED.size]
        return {(identifier, kind): value for kind, identifier, _, value in _FIXED.iter_unpack(whole)}

    @cached_property
    def code_page(self) -> int | None:
        """The code page of texts that are not in Unicode; None if it is not said."""
        return self.number(_MESSAGE_CODE_PAGE) or self.number(_INTERNET_CODE_PAGE) or self._code_page

    def number(self, identifier: int) -> int | None:
        """Return a number, or 0 or 1 for a switch; None if it is not there."""
        values = (self._fixed.get((identifier, kind)) for kind in _INTEGERS)
        return next((value & 0xFFFFFFFF for value in values if value is not None), None)

    def time(self, identifier: int) -> datetime | None:
        """Return a time, None if it is not there or none that can be."""
        value = self._fixed.get((identifier, _TIME))
        try:
            return _EPOCH + timedelta(microseconds=value // 10) if value else None
        except OverflowError:
            return None

    def binary(self, identifier: int) -> bytes | None:
        """Return a value that is not a text, None if it is not there."""
        return self._storage.stream(_name(identifier, _BINARY))

    def storage(self, identifier: int) -> Storage | None:
        """Return a value that is a storage, None if it is not there."""
        return self._storage.storage(_name(identifier, _OBJECT))

    def text(self, identifier: int) -> str:
        """Return a text, empty if it is not there. Lines end with a newline."""
        unicode = self._storage.stream(_name(identifier, _UNICODE))
        if unicode is not None:
            text = unicode.decode("utf-16-le", "replace")
        else:
            text = self.decoded(self._storage.stream(_name(identifier, _TEXT)) or b"", code_page=self.code_page)
        return text.rstrip("\0").replace("\r\n", "\n").replace("\r", "\n").replace("\0", " ")

    def page(self, identifier: int) -> str:
        """Return a page of HTML, which is kept as bytes or as a text; empty if it is not there."""
        content = self.binary(identifier)
        if content is None:
            return self.text(identifier)
        return self.decoded(content, code_page=self.number(_INTERNET_CODE_PAGE) or self.code_page)

    @staticmethod
    def decoded(content: bytes, *, code_page: int | None) -> str:
        """Return bytes as a text, by a guess if the code page is not known or wrong."""
        try:
            return decode(content.rstrip(b"\0"), declared=codec_of_code_page(code_page or 0))
        except DocumentError:
            return content.decode("latin-1")


def _name(identifier: int, kind: int) -> str:
    return f"__substg1.0_{identifier:04x}{kind:04x}"
