"""Open a document that is a ZIP archive of parts, many of them in XML."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, cast
from urllib.parse import unquote

from lxml import etree

from echo_index.errors import DocumentError

if TYPE_CHECKING:
    from lxml.etree import _Element

_MAX_UNPACKED_BYTES = 2**30
_XML_OUT_OF_MEMORY = 2  # libxml2's XML_ERR_NO_MEMORY
ARCHIVE_ERRORS = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError)


class Archive:
    """The parts of a document by their names."""

    def __init__(self, content: bytes) -> None:
        """Open the archive.

        Raises:
            DocumentError: it would unpack to more than 1 GB.
            zipfile.BadZipFile: it is no archive.
        """
        self._archive = zipfile.ZipFile(io.BytesIO(content))
        unpacked = sum(member.file_size for member in self._archive.infolist())
        if unpacked > _MAX_UNPACKED_BYTES:
            raise DocumentError(
                f"It would unpack to {unpacked / 2**20:.0f} MB; the limit is {_MAX_UNPACKED_BYTES / 2**20:.0f} MB."
            )
        # Names of parts do not depend on case, and some programs write them with backslashes.
        self._members = {normal_name(member): member for member in self._archive.namelist()}
        self._omissions: dict[str, None] = {}

    @property
    def omissions(self) -> tuple[str, ...]:
        """Return the phrases for what is in parts that cannot be read."""
        return tuple(self._omissions)

    def __contains__(self, part: str) -> bool:
        return self._member(part) is not None

    def names(self) -> list[str]:
        """Return the names of all parts, in the order of the archive."""
        return [*self._members.values()]

    def bytes(self, part: str) -> bytes | None:
        """Return the bytes of a part, None if it is not there or damaged."""
        member = self._member(part)
        try:
            return self._archive.read(member) if member else None
        except ARCHIVE_ERRORS:
            return None

    def stream(self, part: str) -> BinaryIO | None:
        """Return a part to be read piece by piece, None if it is not there or cannot be opened."""
        member = self._member(part)
        try:
            return cast(BinaryIO, self._archive.open(member)) if member else None
        except ARCHIVE_ERRORS:
            return None

    def xml(self, part: str, *, content: str = "") -> _Element | None:
        """Return the root of a part, None if it is not there or broken.

        `content` says what is in the part ("the footnotes"). Then an omission is noted if the part cannot be read.

        Raises:
            MemoryError: the XML parser ran out of memory.
        """
        try:
            return self.needed_xml(part)
        except (KeyError, etree.XMLSyntaxError, *ARCHIVE_ERRORS):
            if content:
                self.omit(content)
            return None

    def needed_xml(self, part: str) -> _Element:
        """Return the root of a part without which the document cannot be read.

        Raises:
            KeyError: it is not there.
            lxml.etree.XMLSyntaxError: its XML is broken.
            MemoryError: the XML parser ran out of memory.
        """
        member = self._member(part)
        if member is None:
            raise KeyError(part)
        return parse_xml(self._archive.read(member))

    def omit(self, phrase: str) -> None:
        """Note once what cannot be read."""
        self._omissions[phrase] = None

    def _member(self, part: str) -> str | None:
        return self._members.get(normal_name(part)) or self._members.get(normal_name(unquote(part)))


def parse_xml(content: bytes) -> _Element:
    """Return the root of XML. Entities are not expanded, and nothing is fetched.

    Raises:
        lxml.etree.XMLSyntaxError: it is broken.
        MemoryError: the XML parser ran out of memory.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    try:
        return etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        if getattr(error, "code", None) == _XML_OUT_OF_MEMORY:
            raise MemoryError from error
        raise


def xml_elements(stream: BinaryIO, tag: str) -> Iterator[_Element]:
    """Yield the elements with a tag, up to where the XML is broken. Each is emptied when the next one is wanted."""
    with stream, suppress(etree.XMLSyntaxError, *ARCHIVE_ERRORS):
        for _, element in etree.iterparse(stream, events=("end",), tag=tag, resolve_entities=False, no_network=True):
            yield element
            element.clear()
            parent = element.getparent()
            while parent is not None and element.getprevious() is not None:
                del parent[0]


def normal_name(part: str) -> str:
    """Return the name of a part such that two names of the same part are equal."""
    return part.replace("\\", "/").lstrip("/").lower()
