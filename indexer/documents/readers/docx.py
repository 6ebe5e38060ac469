"""Read DOCX: the paragraphs and tables of the body, without headers, footers, footnotes and comments."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from echo_index.errors import DocumentError
from echo_index.indexer.documents.document import Document, Heading, first_title

if TYPE_CHECKING:
    from docx.document import Document as WordDocument
    from lxml.etree import _Element

_MAX_UNPACKED_BYTES = 2**30
_OLE_MARK = b"\xd0\xcf\x11\xe0"  # of .doc files and of encrypted ones
_BODY_TEXT_LEVEL = 9
_XML_OUT_OF_MEMORY = 2  # libxml2's XML_ERR_NO_MEMORY
_ADVICE = re.compile(r", (?:line \d|try |use |see ).*| \(<string>.*")  # the XML parser's hints for its caller

_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_PARAGRAPH, _TABLE, _ROW, _CELL = f"{_WORD}p", f"{_WORD}tbl", f"{_WORD}tr", f"{_WORD}tc"
_TEXT, _OUTLINE_LEVEL, _VALUE = f"{_WORD}t", f"{_WORD}outlineLvl", f"{_WORD}val"
_CHARACTERS = {f"{_WORD}tab": "\t", f"{_WORD}br": "\n", f"{_WORD}cr": "\n", f"{_WORD}noBreakHyphen": "-"}
# Properties, deleted or moved text, and the second version of a drawing for older programs.
_SKIPPED = {
    *(f"{_WORD}{name}" for name in ("pPr", "rPr", "tblPr", "trPr", "tcPr", "sdtPr", "del", "moveFrom")),
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
}


def read_docx(content: bytes) -> Document:
    """Return the paragraphs, separated by blank lines, and the tables, one row per line with cells joined by " | ".

    A heading is a paragraph with an outline level, its own or that of its style; the style Title has level 0. The title
    is that of the document's properties, else the first heading of level 0 or 1, else the first heading.

    Raises:
        DocumentError: the file is broken or encrypted.
        MemoryError: the XML parser ran out of memory.
    """
    if content.startswith(_OLE_MARK):
        raise DocumentError("It is encrypted with a password, or an old Word file (.doc) under another name.")
    try:
        return _parse(content)
    except (DocumentError, MemoryError):
        raise
    except Exception as error:  # the ZIP, XML and DOCX libraries raise many kinds of errors
        if getattr(error, "code", None) == _XML_OUT_OF_MEMORY:
            raise MemoryError from error
        raise DocumentError(f"It is not a readable DOCX: {_short_reason(error)}.") from error


def _parse(content: bytes) -> Document:
    import docx

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > _MAX_UNPACKED_BYTES:
        raise DocumentError(
            f"It would unpack to {unpacked / 2**20:.0f} MB; the limit is {_MAX_UNPACKED_BYTES / 2**20:.0f} MB."
        )
    word = docx.Document(io.BytesIO(content))
    levels = _style_levels(word)
    body = _Body()
    for block in _outermost(word.element.body, {_PARAGRAPH, _TABLE}):
        if block.tag == _TABLE:
            body.add("\n".join(filter(None, map(_row_text, _outermost(block, {_ROW})))))
        else:
            body.add(_text(block), level=_level(block, levels))
    headings = tuple(body.headings)
    title = " ".join(word.core_properties.title.split()) or first_title(headings)
    return Document(text="\n\n".join(body.blocks), title=title, format="docx", headings=headings)


@dataclass(slots=True)
class _Body:
    """The blocks read so far, and the offset at which the next one begins."""

    blocks: list[str] = field(default_factory=list)
    headings: list[Heading] = field(default_factory=list)
    next_offset: int = 0

    def add(self, text: str, *, level: int | None = None) -> None:
        text = " ".join(text.split()) if level is not None else text.strip("\n").rstrip()
        if not text.strip():
            return
        if level is not None:
            self.headings.append(Heading(level=level, title=text, offset=self.next_offset))
        self.blocks.append(text)
        self.next_offset += len(text) + len("\n\n")


def _outermost(parent: _Element, tags: set[str]) -> Iterator[_Element]:
    """Yield the outermost descendants with these tags, including those in content controls and tracked insertions."""
    waiting = list(reversed(parent))
    while waiting:
        element = waiting.pop()
        if element.tag in tags:
            yield element
        elif element.tag not in _SKIPPED:
            waiting.extend(reversed(element))


def _text(paragraph: _Element) -> str:
    """Return the text of a paragraph with its hyperlinks, tracked insertions and text boxes."""
    pieces: list[str] = []
    for element in _outermost(paragraph, {_TEXT, _PARAGRAPH, *_CHARACTERS}):
        if element.tag == _TEXT:
            pieces.append(element.text or "")
        else:
            pieces.append(_CHARACTERS.get(str(element.tag)) or f"\n{_text(element)}\n")
    return "".join(pieces)


def _row_text(row: _Element) -> str:
    cells = [
        " ".join(" ".join(map(_text, _outermost(cell, {_PARAGRAPH}))).split()) for cell in _outermost(row, {_CELL})
    ]
    return " | ".join(cells) if any(cells) else ""


def _style_levels(word: WordDocument) -> dict[str, int]:
    """Return the heading level of each style that has one: by its name or outline level, or that of a base style.

    Some programs translate names and identifiers of styles; the outline level is the same in all languages.
    """
    styles = {style.style_id: style.element for style in word.styles}
    names = {style.style_id: style.name or "" for style in word.styles}
    levels: dict[str, int] = {}
    for style_id in styles:
        ancestor, seen = style_id, set[str]()
        while ancestor in styles and ancestor not in seen:
            seen.add(ancestor)
            level = _named_level(names[ancestor], ancestor)
            level = _outline_level(styles[ancestor]) if level is None else level
            if level is not None:
                levels[style_id] = level
                break
            base = styles[ancestor].find(f"{_WORD}basedOn")
            ancestor = base.get(_VALUE, "") if base is not None else ""
    return levels


def _named_level(name: str, style_id: str) -> int | None:
    if "title" in {name.lower(), style_id.lower()}:
        return 0
    heading = re.fullmatch(r"heading ?([1-9])", name, re.IGNORECASE) or re.fullmatch(r"Heading([1-9])", style_id)
    return int(heading[1]) if heading else None


def _level(paragraph: _Element, style_levels: dict[str, int]) -> int | None:
    own_level = _outline_level(paragraph)
    style = paragraph.find(f"{_WORD}pPr/{_WORD}pStyle")
    return style_levels.get(style.get(_VALUE, "")) if own_level is None and style is not None else own_level


def _outline_level(element: _Element) -> int | None:
    found = element.find(f"{_WORD}pPr/{_OUTLINE_LEVEL}")
    value = found.get(_VALUE, "") if found is not None else ""
    return int(value) + 1 if value.isdecimal() and int(value) < _BODY_TEXT_LEVEL else None


def _short_reason(error: Exception) -> str:
    message = _ADVICE.sub("", " ".join(str(error).split())).rstrip(".")[:100]
    return message[:1].lower() + message[1:] if message else "its structure is broken"
