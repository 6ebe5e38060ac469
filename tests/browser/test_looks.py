"""Accessibility of every tab, wide and narrow, light and dark: contrast, focus, names and width."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page

from .looking import STILL, problems
from .scenes import SCENES
from .screenshots import THEMES, picture
from .serving import Site

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


@pytest.fixture(scope="module", params=[*SCENES])
def scene(request: pytest.FixtureRequest) -> str:
    """Return the name of each scene."""
    return str(request.param)


def test_contrast_width_and_names_of_controls(page: Page, scene: str) -> None:
    page.add_style_tag(content=STILL)
    SCENES[scene](page)
    found = problems(page)
    assert not found, "\n".join(found)


def test_the_focus_is_visible(page: Page, scene: str) -> None:
    page.add_style_tag(content=STILL)
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
