"""Open the package of a Word file: a ZIP archive of parts, and relations that lead from part to part."""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from lxml import etree

from echo_index.errors import DocumentError
from echo_index.indexer.documents.readers.word.markup import descendants

if TYPE_CHECKING:
    from lxml.etree import _Element

_MAX_UNPACKED_BYTES = 2**30
_XML_OUT_OF_MEMORY = 2  # libxml2's XML_ERR_NO_MEMORY
_ARCHIVE_ERRORS = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError)
_MAIN_PART = "word/document.xml"  # as all programs name it


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation of a part: the last word of its type ("footnotes"), its target, and whether that is outside."""

    type: str
    target: str
    is_external: bool


class Package:
    """The parts of a Word file. A relation may lead nowhere: then its part is just not there.

    `omissions` collects phrases for what is in parts that cannot be read.
    """

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
        self._members = {_normal_name(member): member for member in self._archive.namelist()}
        self._relations: dict[str, dict[str, Relation]] = {}
        self._content_types: _Element | None = None
        self.omissions: list[str] = []

    def bytes(self, part: str) -> bytes | None:
        """Return the bytes of a part, None if it is not there or damaged."""
        member = self._members.get(_normal_name(part)) or self._members.get(_normal_name(unquote(part)))
        try:
            return self._archive.read(member) if member else None
        except _ARCHIVE_ERRORS:
            return None

    def xml(self, part: str, *, content: str = "") -> _Element | None:
        """Return the root of a part, None if it is not there or broken.

        `content` says what is in the part ("the footnotes"). Then an omission is noted if the part cannot be read.

        Raises:
            MemoryError: the XML parser ran out of memory.
        """
        try:
            return self._parse(part)
        except (KeyError, etree.XMLSyntaxError, *_ARCHIVE_ERRORS):
            if content and content not in self.omissions:
                self.omissions.append(content)
            return None

    def main_xml(self) -> _Element:
        """Return the root of the main part.

        Raises:
            DocumentError: there is no main part.
            lxml.etree.XMLSyntaxError: its XML is broken.
            MemoryError: the XML parser ran out of memory.
        """
        try:
            return self._parse(self.main_part())
        except KeyError as error:
            raise DocumentError("It is not a readable DOCX: it has no main part.") from error

    def main_part(self) -> str:
        """Return the name of the main part."""
        parts = self.related("", "officeDocument")
        return next((part for part in parts if _normal_name(part) in self._members), _MAIN_PART)

    def relations(self, part: str) -> dict[str, Relation]:
        """Return the relations of a part by their identifiers; those of the package for ""."""
        if part not in self._relations:
            folder, file = posixpath.split(part)
            root = self.xml(posixpath.join(folder, "_rels", f"{file}.rels"))
            found: dict[str, Relation] = {}
            for element in descendants(root, "package:Relationship") if root is not None else ():
                is_external = element.get("TargetMode") == "External"
                target = element.get("Target", "")
                found[element.get("Id", "")] = Relation(
                    type=element.get("Type", "").rpartition("/")[2],
                    target=target
                    if is_external
                    else posixpath.normpath(posixpath.join("/", folder, target)).strip("/"),
                    is_external=is_external,
                )
            self._relations[part] = found
        return self._relations[part]

    def related(self, part: str, type: str) -> list[str]:
        """Return the parts to which relations of one type lead from a part."""
        relations = self.relations(part).values()
        return [relation.target for relation in relations if relation.type == type and not relation.is_external]

    def content_type(self, part: str) -> str:
        """Return the declared content type of a part in lower case, "" if none is declared."""
        if self._content_types is None:
            self._content_types = self.xml("[Content_Types].xml")
        root = self._content_types
        if root is None:
            return ""
        for element in descendants(root, "types:Override"):
            if _normal_name(element.get("PartName", "")) == _normal_name(part):
                return element.get("ContentType", "").lower()
        suffix = posixpath.splitext(part)[1].removeprefix(".").lower()
        for element in descendants(root, "types:Default"):
            if element.get("Extension", "").lower() == suffix:
                return element.get("ContentType", "").lower()
        return ""

    def _parse(self, part: str) -> _Element:
        content = self._archive.read(self._members[_normal_name(part)])
        parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
        try:
            return etree.fromstring(content, parser)
        except etree.XMLSyntaxError as error:
            if getattr(error, "code", None) == _XML_OUT_OF_MEMORY:
                raise MemoryError from error
            raise


def _normal_name(part: str) -> str:
    return part.replace("\\", "/").lstrip("/").lower()
