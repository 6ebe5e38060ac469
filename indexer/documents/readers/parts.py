"""Put texts and documents one behind the other, to one document."""

from __future__ import annotations

from dataclasses import dataclass, field

from echo_index.indexer.documents.document import Document, Heading, Place, RecognizedText, Table

BETWEEN_PARTS = "\n\n"


@dataclass(slots=True)
class Parts:
    """Collects the parts of a document, with their headings, tables, places, omissions and what was recognized.

    `length` is the number of characters of `text()` so far.
    """

    length: int = 0
    headings: list[Heading] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    omissions: list[str] = field(default_factory=list)
    recognized: list[RecognizedText] = field(default_factory=list)
    _pieces: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Return the text so far."""
        return "".join(self._pieces)

    def add(self, text: str, *, separator: str = BETWEEN_PARTS) -> int:
        """Add text behind the separator, and return the offset at which it begins. Empty text adds nothing."""
        for piece in (separator if self._pieces else "", text) if text else ():
            self._pieces.append(piece)
            self.length += len(piece)
        return self.length - len(text)

    def add_heading(self, level: int, title: str) -> int:
        """Add a title as a heading on a line of its own, and return its offset."""
        start = self.add(title)
        if title:
            self.headings.append(Heading(level, title, start))
        return start

    def add_place(self, offset: int, name: str) -> None:
        """Let the place `name` begin at an offset that is not before that of the last place."""
        if self.places and self.places[-1].offset == offset:
            self.places.pop()
        if not self.places or self.places[-1].name != name:
            self.places.append(Place(offset, name))

    def add_document(self, document: Document, *, level: int = 0, place: str = "") -> int:
        """Add a document, its headings `level` levels further in, and return the offset at which it begins.

        Its pages and places are named behind `place`: "attachment report.pdf, page 2". Omissions are not added.
        """
        start = self.add(document.text.rstrip())
        self.headings += [Heading(level + each.level, each.title, start + each.offset) for each in document.headings]
        self.tables += [
            Table(start + each.start, min(start + each.end, self.length), each.header) for each in document.tables
        ]
        self.recognized += [text.moved(start) for text in document.recognized]
        inside = [(offset, f"page {number}") for number, offset in enumerate(document.pages, start=1)]
        for offset, name in inside or [(each.offset, each.name) for each in document.places]:
            self.add_place(start + offset, ", ".join(part for part in (place, name) if part))
        return start
