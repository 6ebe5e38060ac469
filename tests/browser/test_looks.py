"""Accessibility of every tab, wide and narrow, light and dark: contrast, focus, names and width."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from .scenes import SCENES
from .screenshots import SIZES, THEMES, picture
from .serving import Site

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
# Styles of the focused element and its ancestors: one of them must change with the focus.
_STYLES = """() => {
  let text = '';
  for (let at = document.activeElement, step = 0; at && step < 5; at = at.parentElement, step++) {
    const style = getComputedStyle(at);
    text += [style.outlineStyle, style.outlineWidth, style.outlineColor, style.boxShadow, style.borderColor,
      style.backgroundColor, style.color, style.textDecorationLine].join(' ') + '|';
  }
  return text;
}"""
_NEXT = "() => { window.at = document.activeElement; window.at.blur(); }"
_BLURRED = f"() => {{ const real = window.at; return (({_STYLES.replace('document.activeElement', 'real')}))(); }}"
_STILL = "* { transition: none !important; animation: none !important; }"


@pytest.fixture(scope="module", params=[*SCENES])
def scene(request: pytest.FixtureRequest) -> str:
    """Return the name of each scene."""
    return str(request.param)


def test_contrast_width_and_names_of_controls(page: Page, scene: str) -> None:
    page.add_style_tag(content=_STILL)
    SCENES[scene](page)
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
    assert not found, "\n".join(found)


def test_the_focus_is_visible(page: Page, scene: str) -> None:
    page.add_style_tag(content=_STILL)
    SCENES[scene](page)
    hidden = []
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        page.evaluate("() => { document.activeElement.blur(); window.scrollTo(0, 0); }")
        for _ in range(20):
            page.keyboard.press("Tab")
            focused = page.evaluate(_STYLES)
            page.evaluate(_NEXT)
            if page.evaluate("() => window.at !== document.body") and page.evaluate(_BLURRED) == focused:
                hidden.append(f"{theme}: {page.evaluate('() => window.at.outerHTML.slice(0, 160)')}")
            page.evaluate("() => window.at.focus({ focusVisible: true })")
    assert not hidden, "\n".join(dict.fromkeys(hidden))


def test_a_screenshot_is_taken(browser: Browser, site: Site) -> None:
    drawn = picture(browser, site, "search", theme="dark", width=390)
    assert drawn.startswith(b"\x89PNG") and 5_000 < len(drawn) < 60_000


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
