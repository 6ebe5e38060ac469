"""Take the layers that are off out of the pages of a PDF.

PDFium gives the text of all layers and does not tell which are off, but it draws only what is on. So each layer is
drawn once, alone, to see whether anything appears.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from ctypes import byref, c_int, c_ulong, c_ushort, sizeof
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pypdfium2 import PdfPage

_OPTIONAL_CONTENT = "OC"
_MAX_NAME = 256  # characters
_MAX_MARKS = 20  # of an object
_MAX_LAYERS = 300  # of a document
_MAX_SIDE = 1200  # pixels
_PAPER = (120, 130, 140, 255)  # a color in which neither black nor white things are drawn

_Layers = tuple[str, ...]
"""The names of a layer and of those around it."""


class LayerHiding:
    """Finds out which layers of a document are off. A layer is known by its name."""

    def __init__(self, content: bytes) -> None:
        """Take the content of the file: most have no layers. Objects in compressed streams cannot be searched."""
        self._may_have_layers = b"/OCProperties" in content or b"/ObjStm" in content
        self._is_off: dict[_Layers, bool] = {}

    def hide(self, page: PdfPage) -> None:
        """Switch off the objects of a page that belong to layers that are off."""
        from pypdfium2 import raw

        if not self._may_have_layers:
            return
        objects = [raw.FPDFPage_GetObject(page, index) for index in range(raw.FPDFPage_CountObjects(page))]
        layers: dict[_Layers, list[Any]] = {}
        for item in objects:
            if raw.FPDFPageObj_CountMarks(item) and (names := tuple(_layers(item))):
                layers.setdefault(names, []).append(item)
        for names, members in layers.items():
            if names not in self._is_off and len(self._is_off) < _MAX_LAYERS:
                is_off = _is_off(page, objects, members)
                if is_off is None:
                    continue
                self._is_off[names] = is_off
            if self._is_off.get(names):
                for item in members:
                    raw.FPDFPageObj_SetIsActive(item, False)


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


def _is_off(page: PdfPage, objects: list[Any], members: list[Any]) -> bool | None:
    """Return whether nothing appears when only some objects of a page are drawn; None if they are never seen."""
    from pypdfium2 import raw

    seen = [item for item in members if _can_be_seen(item)]
    if not seen:
        return None
    was_active = [_is_active(item) for item in objects]
    try:
        for item in objects:
            raw.FPDFPageObj_SetIsActive(item, False)
        for item in seen:
            raw.FPDFPageObj_SetIsActive(item, True)
        return _is_blank(page)
    finally:
        for item, is_active in zip(objects, was_active, strict=True):
            raw.FPDFPageObj_SetIsActive(item, is_active)


def _can_be_seen(item: Any) -> bool:
    """Return whether an object is more than invisible text, as recognized in a scanned page."""
    from pypdfium2 import raw

    is_text = raw.FPDFPageObj_GetType(item) == raw.FPDF_PAGEOBJ_TEXT
    return not is_text or raw.FPDFTextObj_GetTextRenderMode(item) != raw.FPDF_TEXTRENDERMODE_INVISIBLE


def _is_active(item: Any) -> bool:
    from pypdfium2 import raw

    active = c_int()
    return not raw.FPDFPageObj_GetIsActive(item, byref(active)) or bool(active.value)


def _is_blank(page: PdfPage) -> bool:
    scale = min(1.0, _MAX_SIDE / max(*page.get_size(), 1.0))
    bitmap = page.render(scale=scale, fill_color=_PAPER, draw_annots=False, may_draw_forms=False)
    with closing(bitmap):
        pixels = bytes(bitmap.buffer)
        width, row = bitmap.width * bitmap.n_channels, bitmap.stride
        paper = pixels[: bitmap.n_channels] * bitmap.width
        rows = (pixels[start : start + width] for start in range(0, row * bitmap.height, row))
        return all(line == paper for line in rows)
