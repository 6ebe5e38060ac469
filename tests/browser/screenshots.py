"""Take the screenshots of the documentation: python -m tests.browser.screenshots FOLDER [ADDRESS]."""

from __future__ import annotations

import io
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from .corpus import write_corpus
from .scenes import SCENES
from .serving import Site, command, launch, serving

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
SIZES = {1440: 900, 390: 844}
_SETTLED = 1000  # milliseconds until animations and scrolling have ended
_COLOURS = 64  # enough for the page, and a third of the file size


def picture(browser: Browser, site: Site, scene: str, *, theme: Theme, width: int) -> bytes:
    """Return a screenshot of one scene as PNG."""
    context = browser.new_context(viewport={"width": width, "height": SIZES[width]}, color_scheme=theme)
    try:
        page = context.new_page()
        page.goto(site.url)
        page.locator("#question textarea").wait_for()
        SCENES[scene](page)
        page.mouse.move(0, 0)
        page.evaluate("() => { document.activeElement.blur(); window.scrollTo(0, 0); }")
        page.wait_for_timeout(_SETTLED)
        return _small(page.screenshot(animations="disabled"))
    finally:
        context.close()


def _small(png: bytes) -> bytes:
    drawn = Image.open(io.BytesIO(png)).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    smaller = io.BytesIO()
    drawn.save(smaller, format="PNG", optimize=True)
    return smaller.getvalue()


def main(folder: Path, address: str = "") -> None:
    """Take all screenshots, light and dark, wide and narrow, of the test corpus or of another server."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        if address:
            site = Site(address.rstrip("/"), folder)
        else:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            write_corpus(home / "documents", hostile=False)
            command("build", "documents", "--index", "idx", folder=home)
            site = stack.enter_context(serving(home))
        browser = launch(stack.enter_context(sync_playwright()))
        for scene in SCENES:
            for theme in THEMES:
                for width in SIZES:
                    drawn = picture(browser, site, scene, theme=theme, width=width)
                    (folder / f"{scene}-{theme}-{width}.png").write_bytes(drawn)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3])
