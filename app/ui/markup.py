"""Text to markup that shows it as it is, in HTML and in Markdown. Knows nothing of what the text says."""

from __future__ import annotations

import re
from html import escape

_SPECIAL = re.compile(r"[^\w\s]|_", re.ASCII)
_CONTROLS = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
# Marks that turn the direction of what follows would reach beyond the text they stand in.
_DIRECTIONS = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)), None)


def shown(text: object) -> str:
    """Return HTML that shows a text, in an element or in an attribute."""
    return escape(str(text).translate(_CONTROLS | _DIRECTIONS), quote=True)


def as_markdown(text: str) -> str:
    """Return Markdown that shows a text as it is: no heading, link, picture, formula or tag comes of it."""
    plain = text.translate(_CONTROLS | _DIRECTIONS)
    return _SPECIAL.sub(lambda special: f"&#{ord(special[0])};", plain).replace("\n", "<br>")


def attributes(**values: object) -> str:
    """Return data attributes: `attributes(start=3)` is `data-start="3"`."""
    return " ".join(f'data-{name.replace("_", "-")}="{shown(value)}"' for name, value in values.items())


def button(label: str, action: str, /, *, title: str = "", **data: object) -> str:
    """Return a button that tells its component of an action, with data."""
    told = f' title="{shown(title)}" aria-label="{shown(title)}"' if title else ""
    return f'<button type="button" class="act" {attributes(action=action, **data)}{told}>{shown(label)}</button>'


def notice(sentence: str, *, remedy: str = "", kind: str = "info", actions: str = "") -> str:
    """Return a box that says something: `kind` is info, empty, warning or error."""
    mended = f"<p>{shown(remedy)}</p>" if remedy else ""
    role = "alert" if kind == "error" else "status"
    return f'<div class="notice {kind}" role="{role}"><p><strong>{shown(sentence)}</strong></p>{mended}{actions}</div>'
