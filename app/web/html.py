"""Text to markup that shows it as it is, in HTML and in Markdown. Knows nothing of what the text says."""

from __future__ import annotations

import re
from html import escape

# Also white space in front: it would make a code block.
_SPECIAL = re.compile(r"\A\s|(?<=\n)[ \t]|[^\w\s]|_", re.ASCII)
_CONTROLS = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
# Marks that turn the direction of what follows would reach beyond the text they stand in.
_DIRECTIONS = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)), None)


def readable(text: str) -> str:
    """Return a text without the characters that are not read but steer what shows them."""
    return text.translate(_CONTROLS | _DIRECTIONS)


def escape_html(text: object) -> str:
    """Return HTML that shows a text, in an element or in an attribute."""
    return escape(readable(str(text)), quote=True)


def as_markdown(text: str) -> str:
    """Return Markdown that shows a text as it is: no heading, link, picture, formula or tag comes of it."""
    plain = readable(text).strip("\n")
    quoted = _SPECIAL.sub(lambda special: f"&#{ord(special[0])};", plain)
    return quoted.replace("\n", "<br>")


def attributes(**values: object) -> str:
    """Return data attributes, which give back just what they were given: `attributes(start=3)` is `data-start="3"`."""
    return " ".join(f'data-{name.replace("_", "-")}="{_data(value)}"' for name, value in values.items())


def button(label: str, action: str, /, *, title: str = "", **data: object) -> str:
    """Return a button that tells its component of an action, with data."""
    told = f' title="{escape_html(title)}" aria-label="{escape_html(title)}"' if title else ""
    return f'<button type="button" class="act" {attributes(action=action, **data)}{told}>{escape_html(label)}</button>'


def notice(sentence: str, *, remedy: str = "", kind: str = "info", actions: str = "") -> str:
    """Return a box that says something: `kind` is info, empty, warning or error."""
    mended = f"<p>{escape_html(remedy)}</p>" if remedy else ""
    role = "alert" if kind == "error" else "status"
    said = f"<p><strong>{escape_html(sentence)}</strong></p>"
    return f'<div class="notice {kind}" role="{role}">{said}{mended}{actions}</div>'


def _data(value: object) -> str:
    return escape(str(value), quote=True).replace("\r", "&#13;")
