"""Read files that are pictures, with what is recognized in them as their text."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from io import BytesIO
from itertools import accumulate
from typing import TYPE_CHECKING

from echo_index.errors import DocumentError
from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.ocr.recognizer import RecognizedPage, Recognizer
from echo_index.indexer.documents.readers.scans.text import failure_omissions, with_recognized

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP")  # no other decoder ever sees a file
_PAGED = "TIFF"  # the frames of other formats are for motion
_MAX_PIXELS = 80_000_000  # of a frame
_MAX_FRAMES = 10_000
_BETWEEN_PAGES = "\n\n"


def read_picture(content: bytes, *, recognizer: Recognizer | None = None) -> Document:
    """Return what is recognized in a picture. The frames of a TIFF are pages.

    Raises:
        DocumentError: there is no recognizer, the picture is broken or too large, or nothing is recognized in it.
    """
    if recognizer is None:
        raise DocumentError("It is a picture, and OCR, which would read it, is off or not installed.")
    pages = [*_recognized_pages(content, recognizer)]
    omissions = [*failure_omissions((number, page.failure) for number, page in enumerate(pages, start=1))]
    texts, recognized = with_recognized([""] * len(pages), dict(enumerate(pages)), separator=_BETWEEN_PAGES)
    if not recognized:
        raise DocumentError(f"OCR does not read it: {omissions[0]}." if omissions else "OCR finds no text in it.")
    starts = accumulate((len(text) + len(_BETWEEN_PAGES) for text in texts[:-1]), initial=0)
    return Document(
        text=_BETWEEN_PAGES.join(texts),
        title="",
        format="image",
        pages=tuple(starts) if len(pages) > 1 else (),
        omissions=tuple(omissions),
        recognized=tuple(recognized),
    )


def _recognized_pages(content: bytes, recognizer: Recognizer) -> Iterator[RecognizedPage]:
    """Yield what is recognized in each frame.

    Raises:
        DocumentError: the picture is broken or too large.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(BytesIO(content), formats=_FORMATS) as picture:
            count = getattr(picture, "n_frames", 1) if picture.format == _PAGED else 1
            if count > _MAX_FRAMES:
                raise DocumentError(f"It has {count:,} frames; the limit is {_MAX_FRAMES:,}.")
            for number in range(count):
                picture.seek(number)
                yield recognizer.recognize(partial(_gray, picture), page=number + 1, pages=count)
    except UnidentifiedImageError as error:
        raise DocumentError("It is not a readable picture.") from error
    except Image.DecompressionBombError as error:
        raise DocumentError(f"It has too many pixels; the limit is {_MAX_PIXELS:,}.") from error
    except (OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise DocumentError(f"It is not a readable picture: {error}".rstrip(".") + ".") from error


def _gray(picture: Image) -> Image:
    """Return the frame in shades of gray, turned as its camera says, on white paper where it is transparent."""
    from PIL import Image, ImageOps

    width, height = picture.size
    if width * height > _MAX_PIXELS:
        raise DocumentError(f"It has {width:,} by {height:,} pixels; the limit is {_MAX_PIXELS:,} in all.")
    upright = ImageOps.exif_transpose(picture)
    if upright.mode.startswith("I;16"):
        return upright.point(lambda value: value / 256).convert("L")
    if not upright.has_transparency_data:
        return upright.convert("L")
    paper = Image.new("RGBA", upright.size, "white")
    paper.alpha_composite(upright.convert("RGBA"))
    return paper.convert("L")
