"""Take the layers that are off out of the pages of a PDF.

PDFium gives the text of all layers and does not tell which are off, but it draws only what is on. So each layer is
drawn once, alone, to see whether anything appears.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from ctypes import byref, c_ulong, c_ushort, sizeof
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pypdfium2 import PdfPage

_OPTIONAL_CONTENT = "OC"
_MAX_NAME = 256  # characters
_MAX_MARKS = 20  # of an object
_MAX_OBJECTS = 20_000  # of a page
_MAX_DEPTH = 5  # of forms within forms
_MAX_DRAWN = 300  # groups of a document
_MAX_SIDE = 1200  # pixels
_PAPER = (120, 130, 140, 255)  # a color in which neither black nor white things are drawn

# Objects in compressed streams, which are searched for layers.
_OBJECT_STREAM = re.compile(rb"/ObjStm\b.{0,500}?stream\r?\n", re.DOTALL)
_MAX_STREAMS = 2_000
_MAX_COMPRESSED, _MAX_UNCOMPRESSED = 1_000_000, 2_000_000  # bytes of a stream
_LAYERS = b"/OCProperties"


@dataclass(frozen=True, slots=True)
class _Group:
    """Objects of a page that are seen or not seen together: the layers around them, and the forms that they are in.

    A form is known by its place on the page. It may belong to a layer, which PDFium does not tell.
    """

    layers: tuple[str, ...] = ()
    forms: tuple[int, ...] = ()


class LayerHiding:
    """Finds out which layers of a document are off. A layer is known by its name."""

    def __init__(self, content: bytes) -> None:
        """Take the content of the file: most have no layers."""
        self._has_layers = _has_layers(content)
        self._is_off: dict[_Group, bool] = {}
        self._drawn = 0

    def hide(self, page: PdfPage) -> None:
        """Switch off the objects of a page that belong to layers that are off."""
        from pypdfium2 import raw

        if not self._has_layers:
            return
        groups: dict[_Group, list[Any]] = {}
        for group, item in islice(_objects(page), _MAX_OBJECTS):
            groups.setdefault(group, []).append(item)
        objects = [item for members in groups.values() for item in members]
        off = [members for group, members in groups.items() if group != _Group() and self._hides(page, group, groups)]
        for item in objects:
            raw.FPDFPageObj_SetIsActive(item, True)
        for item in (item for members in off for item in members):
            raw.FPDFPageObj_SetIsActive(item, False)

    def _hides(self, page: PdfPage, group: _Group, groups: dict[_Group, list[Any]]) -> bool:
        """Return whether nothing appears when only the objects of one group are drawn."""
        from pypdfium2 import raw

        if group in self._is_off:
            return self._is_off[group]
        seen = [item for item in groups[group] if _can_be_seen(item)]
        if not seen or self._drawn >= _MAX_DRAWN:
            return False
        self._drawn += 1
        for item in (item for members in groups.values() for item in members):
            raw.FPDFPageObj_SetIsActive(item, False)
        for item in seen:
            raw.FPDFPageObj_SetIsActive(item, True)
        is_off = _is_blank(page)
        if not group.forms:
            self._is_off[group] = is_off
        return is_off


def _has_layers(content: bytes) -> bool:
    if _LAYERS in content:
        return True
    for match in islice(_OBJECT_STREAM.finditer(content), _MAX_STREAMS):
        start = match.end()
        end = content.find(b"endstream", start, start + _MAX_COMPRESSED)
        with suppress(zlib.error):
            if _LAYERS in zlib.decompressobj().decompress(content[start : max(start, end)], _MAX_UNCOMPRESSED):
                return True
    return False


def _objects(page: PdfPage) -> Iterator[tuple[_Group, Any]]:
    """Yield the objects of a page and of the forms on it, with the group of each."""
    from pypdfium2 import raw

    pending: list[tuple[Any, _Group, tuple[int, ...]]] = [
        (raw.FPDFPage_GetObject(page, index), _Group(), (index,)) for index in range(raw.FPDFPage_CountObjects(page))
    ]
    while pending:
        item, outer, place = pending.pop()
        layers = (*outer.layers, *_layers(item))
        if raw.FPDFPageObj_GetType(item) != raw.FPDF_PAGEOBJ_FORM:
            yield _Group(layers, outer.forms), item
        elif len(place) < _MAX_DEPTH:
            pending.extend(
                (raw.FPDFFormObj_GetObject(item, index), _Group(layers, place), (*place, index))
                for index in range(raw.FPDFFormObj_CountObjects(item))
            )


def _layers(item: Any) -> Iterator[str]:
    """Yield the names of the layers of an object."""
    from pypdfium2 import raw

    size, buffer = c_ulong(), (c_ushort * _MAX_NAME)()
    for index in range(min(raw.FPDFPageObj_CountMarks(item), _MAX_MARKS)):
        mark = raw.FPDFPageObj_GetMark(item, index)
        raw.FPDFPageObjMark_GetName(mark, buffer, sizeof(buffer), byref(size))
        if _name(buffer, size.value) == _OPTIONAL_CONTENT:
            raw.FPDFPageObjMark_GetParamStringValue(mark, b"Name", buffer, sizeof(buffer), byref(size))
            yield _name(buffer, size.value)


def _name(buffer: Any, size: int) -> str:
    return bytes(buffer)[:size].decode("utf-16-le", "replace").rstrip("\0")


def _can_be_seen(item: Any) -> bool:
    """Return whether an object is more than invisible text, as recognized in a scanned page."""
    from pypdfium2 import raw

    is_text = raw.FPDFPageObj_GetType(item) == raw.FPDF_PAGEOBJ_TEXT
    return not is_text or raw.FPDFTextObj_GetTextRenderMode(item) != raw.FPDF_TEXTRENDERMODE_INVISIBLE


def _is_blank(page: PdfPage) -> bool:
    scale = min(1.0, _MAX_SIDE / max(*page.get_size(), 1.0))
    bitmap = page.render(scale=scale, fill_color=_PAPER, draw_annots=False, may_draw_forms=False)
    with closing(bitmap):
        pixels = bytes(bitmap.buffer)
        width, row = bitmap.width * bitmap.n_channels, bitmap.stride
        paper = pixels[: bitmap.n_channels] * bitmap.width
        rows = (pixels[start : start + width] for start in range(0, row * bitmap.height, row))
        return all(line == paper for line in rows)
