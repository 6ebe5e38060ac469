"""Read what is drawn over a PDF page or opens on a click: values of form fields, stamps, free text and comments."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import byref, c_ushort
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from echo_index.indexer.documents.readers.pdf.glyphs import Box, counted_characters, read_boxes, turned
from echo_index.indexer.documents.readers.pdf.placement import Placed

if TYPE_CHECKING:
    from pypdfium2 import PdfPage

CHECKED = "[x]"
"""What stands for the mark of a check box or radio button that is on."""

_MAX_ANNOTATIONS = 5_000  # of a page
_MAX_OPTIONS = 1_000  # of a field
_MAX_TEXT_BYTES = 2_000_000

# The numbers of ISO 32000-1, tables 165, 226 and 228: the bit at position n is 1 << (n - 1).
_INVISIBLE, _HIDDEN, _NO_VIEW = 1 << 0, 1 << 1, 1 << 5
_PASSWORD = 1 << 13

_LINE_END = re.compile(r"\r\n?|[\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment, and the name of who wrote it, if known."""

    author: str
    words: str


@dataclass(frozen=True, slots=True)
class Annotations:
    """What the annotations of a page show: texts drawn on the page, and comments that are read beside it.

    `files` are the names of files that are attached to the page.
    """

    drawn: tuple[Placed, ...] = ()
    comments: tuple[Comment, ...] = ()
    files: tuple[str, ...] = ()


@dataclass
class _Annotation:
    """One annotation of a page, open for reading."""

    raw: Any
    page: PdfPage

    def string(self, key: str) -> str:
        from pypdfium2 import raw

        return _text(lambda buffer, size: raw.FPDFAnnot_GetStringValue(self.raw, key.encode(), buffer, size))

    def box(self) -> Box | None:
        from pypdfium2 import raw

        rectangle = raw.FS_RECTF()
        if not raw.FPDFAnnot_GetRect(self.raw, byref(rectangle)):
            return None
        return turned(self.page)(rectangle.left, rectangle.bottom, rectangle.right, rectangle.top)

    def is_hidden(self) -> bool:
        from pypdfium2 import raw

        return bool(raw.FPDFAnnot_GetFlags(self.raw) & (_HIDDEN | _NO_VIEW))

    def draws_text(self) -> bool:
        """Return whether its appearance has text."""
        from pypdfium2 import raw

        kinds = (
            raw.FPDFPageObj_GetType(raw.FPDFAnnot_GetObject(self.raw, index))
            for index in range(raw.FPDFAnnot_GetObjectCount(self.raw))
        )
        return any(kind in (raw.FPDF_PAGEOBJ_TEXT, raw.FPDF_PAGEOBJ_FORM) for kind in kinds)


def read_annotations(page: PdfPage, open_again: Callable[[], PdfPage]) -> Annotations:
    """Return what the annotations of a page show.

    Args:
        page: The page. If the text of an appearance is needed, the page of the open document is changed.
        open_again: Opens the page again, after it was changed.
    """
    from pypdfium2 import raw

    drawn: list[Placed] = []
    comments: list[Comment] = []
    files: list[str] = []
    appearances: dict[int, Box] = {}
    for index in range(min(raw.FPDFPage_GetAnnotCount(page), _MAX_ANNOTATIONS)):
        with _opened(page, index) as annotation:
            kind = raw.FPDFAnnot_GetSubtype(annotation.raw) if annotation else raw.FPDF_ANNOT_POPUP
            if annotation is None or kind in (raw.FPDF_ANNOT_LINK, raw.FPDF_ANNOT_POPUP):
                continue
            box = annotation.box()
            if box is None or annotation.is_hidden():
                continue
            value: str | None = ""
            if kind == raw.FPDF_ANNOT_WIDGET:
                value = _value(annotation)
            elif kind == raw.FPDF_ANNOT_FREETEXT:
                value = annotation.string("Contents")
            elif comment := _comment(annotation):
                comments.append(comment)
            if kind == raw.FPDF_ANNOT_FILEATTACHMENT:
                files.append(_file_name(annotation))
            if value and value.strip():
                drawn.append(Placed(_clean(value), box, is_mark=value == CHECKED))
            elif value is not None and kind not in _icons() and annotation.draws_text():
                appearances[index] = box
    if appearances:
        drawn.extend(_appearance_texts(page, appearances, open_again))
    return Annotations(tuple(drawn), tuple(comments), tuple(files))


def _icons() -> set[int]:
    """Return the kinds of annotations that are drawn as an icon."""
    from pypdfium2 import raw

    return {
        raw.FPDF_ANNOT_TEXT,
        raw.FPDF_ANNOT_FILEATTACHMENT,
        raw.FPDF_ANNOT_SOUND,
        raw.FPDF_ANNOT_MOVIE,
        raw.FPDF_ANNOT_SCREEN,
        raw.FPDF_ANNOT_PRINTERMARK,
    }


@contextmanager
def _opened(page: PdfPage, index: int) -> Iterator[_Annotation | None]:
    from pypdfium2 import raw

    opened = raw.FPDFPage_GetAnnot(page, index)
    try:
        yield _Annotation(opened, page) if opened else None
    finally:
        if opened:
            raw.FPDFPage_CloseAnnot(opened)


def _value(annotation: _Annotation) -> str | None:
    """Return the value that a field shows; empty if its appearance tells, None if there is nothing to read."""
    from pypdfium2 import raw

    form = annotation.page.formenv
    kind = raw.FPDFAnnot_GetFormFieldType(form, annotation.raw) if form else raw.FPDF_FORMFIELD_UNKNOWN
    if kind in (raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON):
        return CHECKED if raw.FPDFAnnot_IsChecked(form, annotation.raw) else None
    if kind in (raw.FPDF_FORMFIELD_COMBOBOX, raw.FPDF_FORMFIELD_LISTBOX):
        return ", ".join(_selected_options(annotation)) or _field_value(annotation) or None
    if kind == raw.FPDF_FORMFIELD_TEXTFIELD:
        is_secret = raw.FPDFAnnot_GetFormFieldFlags(form, annotation.raw) & _PASSWORD
        return None if is_secret else _field_value(annotation)
    return ""


def _field_value(annotation: _Annotation) -> str:
    from pypdfium2 import raw

    form = annotation.page.formenv
    return _text(lambda buffer, size: raw.FPDFAnnot_GetFormFieldValue(form, annotation.raw, buffer, size))


def _selected_options(annotation: _Annotation) -> Iterator[str]:
    from pypdfium2 import raw

    form = annotation.page.formenv
    for index in range(min(raw.FPDFAnnot_GetOptionCount(form, annotation.raw), _MAX_OPTIONS)):
        if raw.FPDFAnnot_IsOptionSelected(form, annotation.raw, index):
            yield _option_label(annotation, index)


def _option_label(annotation: _Annotation, index: int) -> str:
    from pypdfium2 import raw

    form = annotation.page.formenv
    return _text(lambda buffer, size: raw.FPDFAnnot_GetOptionLabel(form, annotation.raw, index, buffer, size))


def _comment(annotation: _Annotation) -> Comment | None:
    """Return what opens on a click, with its author; nothing for the state of a review, such as "accepted"."""
    from pypdfium2 import raw

    words = " ".join(annotation.string("Contents").split())
    if not words or raw.FPDFAnnot_HasKey(annotation.raw, b"StateModel"):
        return None
    return Comment(" ".join(annotation.string("T").split()), words)


def _file_name(annotation: _Annotation) -> str:
    from pypdfium2 import raw

    attachment = raw.FPDFAnnot_GetFileAttachment(annotation.raw)
    if not attachment:
        return ""
    return _text(lambda buffer, size: raw.FPDFAttachment_GetName(attachment, buffer, size))


def _appearance_texts(
    page: PdfPage, appearances: dict[int, Box], open_again: Callable[[], PdfPage]
) -> Iterator[Placed]:
    """Yield the texts that some annotations draw.

    PDFium reads only the text of the page itself. So these annotations are made a part of the page, and the objects
    that the page had before are switched off.
    """
    from pypdfium2 import raw

    for index in range(raw.FPDFPage_GetAnnotCount(page)):
        with _opened(page, index) as annotation:
            if annotation is not None:
                flags = raw.FPDFAnnot_GetFlags(annotation.raw)
                wanted = flags & ~_INVISIBLE if index in appearances else flags | _HIDDEN
                raw.FPDFAnnot_SetFlags(annotation.raw, wanted)
    own_objects = raw.FPDFPage_CountObjects(page)
    if raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY) != raw.FLATTEN_SUCCESS:
        return
    flattened = open_again()
    try:
        for index in range(own_objects):
            raw.FPDFPageObj_SetIsActive(raw.FPDFPage_GetObject(flattened, index), False)
        text_page = flattened.get_textpage()
        try:
            text = counted_characters(text_page, text_page.get_text_range())
            boxes = read_boxes(flattened, text_page, text)
        finally:
            text_page.close()
    finally:
        flattened.close()
    for box in appearances.values():
        drawn = [index for index, place in enumerate(boxes) if place and box.contains(*place.center, margin=1)]
        if drawn and (words := _clean(text[drawn[0] : drawn[-1] + 1])):
            yield Placed(words, box)


def _text(read: Callable[[Any, int], int]) -> str:
    """Return a text that PDFium writes as UTF-16 into a buffer, after it was asked for the size in bytes."""
    size = min(read(None, 0), _MAX_TEXT_BYTES)
    if size <= 2:
        return ""
    buffer = (c_ushort * (size // 2 + 1))()
    read(buffer, size)
    return bytes(buffer).decode("utf-16-le", "replace").split("\0", 1)[0]


def _clean(text: str) -> str:
    return "\n".join(" ".join(line.split()) for line in _LINE_END.sub("\n", text).split("\n")).strip()
