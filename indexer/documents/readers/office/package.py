"""Open the package of a file of Microsoft Office: an archive of parts, and relations that lead from part to part."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from echo_index.errors import DocumentError
from echo_index.indexer.documents.fields import Field
from echo_index.indexer.documents.readers.archive import Archive, normal_name
from echo_index.indexer.documents.readers.office.markup import descendants, own_text
from echo_index.indexer.documents.readers.office.properties import property_fields

if TYPE_CHECKING:
    from lxml.etree import _Element


OLE_MARK = b"\xd0\xcf\x11\xe0"
"""The first bytes of the old binary formats (.doc, .ppt), and of encrypted files of any format."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation of a part: the last word of its type ("footnotes"), its target, and whether that is outside."""

    type: str
    target: str
    is_external: bool


class Package:
    """The parts of a file. A relation may lead nowhere: then its part is just not there.

    `format` is the name of the format for the user ("DOCX"), `usual_main_part` the name that all programs give the main
    part.
    """

    def __init__(self, content: bytes, *, format: str, usual_main_part: str) -> None:
        """Open the archive.

        Raises:
            DocumentError: it would unpack to more than 1 GB.
            zipfile.BadZipFile: it is no archive.
        """
        self._archive = Archive(content)
        self._format = format
        self._usual_main_part = usual_main_part
        self._relations: dict[str, dict[str, Relation]] = {}
        self._content_types: _Element | None = None

    @property
    def omissions(self) -> tuple[str, ...]:
        """Return the phrases for what is in parts that cannot be read."""
        return self._archive.omissions

    def bytes(self, part: str) -> bytes | None:
        """Return the bytes of a part, None if it is not there or damaged."""
        return self._archive.bytes(part)

    def stream(self, part: str) -> BinaryIO | None:
        """Return a part to be read piece by piece, None if it is not there or cannot be opened."""
        return self._archive.stream(part)

    def xml(self, part: str, *, content: str = "") -> _Element | None:
        """Return the root of a part, None if it is not there or broken.

        `content` says what is in the part ("the footnotes"). Then an omission is noted if the part cannot be read.

        Raises:
            MemoryError: the XML parser ran out of memory.
        """
        return self._archive.xml(part, content=content)

    def related_xml(self, part: str, type: str) -> _Element | None:
        """Return the root of the first part to which a relation of one type leads, None without one that is sound."""
        found = next(iter(self.related(part, type)), "")
        return self.xml(found) if found else None

    def title(self) -> str:
        """Return the title in the properties of the file, "" if there is none."""
        root = self._properties()
        titles = (
            (" ".join(own_text(title).split()) for title in descendants(root, "dc:title")) if root is not None else ()
        )
        return next(iter(titles), "")

    def fields(self) -> tuple[Field, ...]:
        """Return what the properties of the file say, also those that its author has added."""
        added = next(iter(self.related("", "custom-properties")), "docProps/custom.xml")
        return property_fields(self._properties(), self.xml(added))

    def _properties(self) -> _Element | None:
        return self.xml(next(iter(self.related("", "core-properties")), "docProps/core.xml"))

    def omit(self, phrase: str) -> None:
        """Note once what cannot be read."""
        self._archive.omit(phrase)

    def main_xml(self) -> _Element:
        """Return the root of the main part.

        Raises:
            DocumentError: there is no main part.
            lxml.etree.XMLSyntaxError: its XML is broken.
            MemoryError: the XML parser ran out of memory.
        """
        try:
            return self._archive.needed_xml(self.main_part())
        except KeyError as error:
            raise DocumentError(f"It is not a readable {self._format}: it has no main part.") from error

    def main_part(self) -> str:
        """Return the name of the main part."""
        parts = self.related("", "officeDocument")
        return next((part for part in parts if part in self._archive), self._usual_main_part)

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
            if normal_name(element.get("PartName", "")) == normal_name(part):
                return element.get("ContentType", "").lower()
        suffix = posixpath.splitext(part)[1].removeprefix(".").lower()
        for element in descendants(root, "types:Default"):
            if element.get("Extension", "").lower() == suffix:
                return element.get("ContentType", "").lower()
        return ""
