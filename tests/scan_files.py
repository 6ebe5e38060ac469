"""Draw pages of text as a scanner sees them, and measure how well they are read."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

_FONT = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSerif.ttf"  # Pillow's own has no accents

MINUTES = (
    "The committee met on 14 March 2019 in the town hall of Brookfield to discuss the repair of the old bridge over "
    "the river Wye. Mrs. Hartley, who chaired the meeting, reported that the costs had risen to 48,350 pounds, mainly "
    "because the price of steel increased by 12.5 % within a year. The engineer proposed to close the bridge for seven "
    "weeks, from 3 June until 22 July; buses on lines 41 and 176 would be diverted through Mill Lane."
)


def page_picture(
    *paragraphs: str, dots_per_inch: int = 150, points: float = 11, size: tuple[float, float] = (8.27, 11.69)
) -> Image.Image:
    """Return a white page, its size in inches, with paragraphs of black text."""
    picture = Image.new("L", (round(size[0] * dots_per_inch), round(size[1] * dots_per_inch)), 255)
    drawing = ImageDraw.Draw(picture)
    font = ImageFont.truetype(_FONT, points * dots_per_inch / 72)
    margin, pitch = dots_per_inch // 2, round(1.4 * points * dots_per_inch / 72)
    top = margin
    for paragraph in paragraphs:
        for line in _wrapped(paragraph, font, picture.width - 2 * margin):
            drawing.text((margin, top), line, font=font, fill=20)
            top += pitch
        top += pitch
    return picture


def scanned(picture: Image.Image, *, degrees: float = 1, noise: float = 12, blur: float = 0.6) -> Image.Image:
    """Return a picture as a scanner sees it: turned a little, blurred, gray and noisy."""
    turned = picture.rotate(degrees, resample=Image.Resampling.BICUBIC, expand=degrees % 90 == 0, fillcolor=255)
    pixels = np.asarray(turned.filter(ImageFilter.GaussianBlur(blur))).astype(float)
    dirty = pixels * 0.93 + 8 + np.random.default_rng(1).normal(0, noise, pixels.shape)
    return Image.fromarray(dirty.clip(0, 255).astype(np.uint8))


def picture_file(picture: Image.Image, *more: Image.Image, format: str = "PNG", dots_per_inch: int = 150) -> bytes:
    """Return pictures as a file; as PDF, each is a page."""
    file = BytesIO()
    several = {"save_all": True, "append_images": more} if more else {}
    picture.save(file, format=format, resolution=float(dots_per_inch), **several)
    return file.getvalue()


def error_rate(read: str, expected: str) -> float:
    """Return how many characters must be changed for one that is expected. White space counts as one space."""
    found, wanted = " ".join(read.split()), " ".join(expected.split())
    row: Sequence[int] = range(len(wanted) + 1)
    for count, character in enumerate(found, start=1):
        current = [count]
        for position, other in enumerate(wanted, start=1):
            current.append(min(row[position] + 1, current[-1] + 1, row[position - 1] + (character != other)))
        row = current
    return row[-1] / len(wanted)


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
