"""What is wrong with the appearance of a page: contrast, width, and names of controls."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

from .screenshots import SIZES, THEMES

_LOW_CONTRASTS = (Path(__file__).parent / "looks.js").read_text(encoding="utf-8")
_CONTROLS = {
    "button",
    "textbox",
    "combobox",
    "checkbox",
    "radio",
    "slider",
    "tab",
    "link",
    "option",
    "spinbutton",
    "searchbox",
}
_TOO_WIDE = """() => [...document.querySelectorAll('.gradio-container *')]
  .filter((element) => document.documentElement.scrollWidth > document.documentElement.clientWidth + 1
    && element.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map((element) => element.tagName + '.' + element.className).slice(0, 5)"""
STILL = "* { transition: none !important; animation: none !important; }"
"""A style without movement, as colours that change have no contrast of their own."""


def problems(page: Page) -> list[str]:
    """Return texts with too little contrast, elements wider than the window, and controls without an accessible name.

    The page is looked at wide and narrow, light and dark.
    """
    found = []
    for width, height in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            page.wait_for_function("dark => document.body.classList.contains('dark') === dark", arg=theme == "dark")
            found += [f"{theme} {width}: {text}" for text in page.evaluate(_LOW_CONTRASTS)]
        page.mouse.move(0, 0)
        found += [f"{width}: wider than the window: {text}" for text in page.evaluate(_TOO_WIDE)]
        found += [f"{width}: without a name: {text}" for text in _nameless(page)]
    return found


def _nameless(page: Page) -> list[str]:
    """Return the controls without an accessible name."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    found = []
    for node in nodes:
        if node.get("ignored") or node["role"]["value"] not in _CONTROLS or node.get("name", {}).get("value"):
            continue
        markup = session.send("DOM.getOuterHTML", {"backendNodeId": node["backendDOMNodeId"]})["outerHTML"]
        found.append(f"{node['role']['value']} {markup[:160]}")
    session.detach()
    return found
