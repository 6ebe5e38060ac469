"""Escape text for HTML and Markdown, and build small pieces of HTML."""

from __future__ import annotations

import re
from html import escape

# Leading white space would start a code block.
_SPECIAL = re.compile(r"\A\s|(?<=\n)[ \t]|[^\w\s]|_", re.ASCII)
_CONTROLS = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
# Marks of writing direction would affect the text that follows on the page.
_DIRECTION_MARKS = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)), None)


def strip_controls(text: str) -> str:
    """Replace control characters by U+FFFD and remove marks of writing direction."""
    return text.translate(_CONTROLS | _DIRECTION_MARKS)


def escape_html(text: object) -> str:
    """Escape a text for an HTML element or a escaped attribute."""
    return escape(strip_controls(str(text)), quote=True)


def as_markdown(text: str) -> str:
    """Escape a text for Markdown, so that nothing in it becomes a heading, link, image, formula or tag."""
    stripped = strip_controls(text).strip("\n")
    escaped = _SPECIAL.sub(lambda special: f"&#{ord(special[0])};", stripped)
    return escaped.replace("\n", "<br>")


def attributes(**values: object) -> str:
    """Return data attributes that keep their values unchanged: `attributes(start=3)` is `data-start="3"`."""
    return " ".join(f'data-{name.replace("_", "-")}="{_escape_data(value)}"' for name, value in values.items())


def button(label: str, action: str, /, *, title: str = "", **data: object) -> str:
    """Return a button that triggers an event of its component, with data."""
    labels = f' title="{escape_html(title)}" aria-label="{escape_html(title)}"' if title else ""
    return (
        f'<button type="button" class="act" {attributes(action=action, **data)}{labels}>{escape_html(label)}</button>'
    )


def notice(sentence: str, *, remedy: str = "", kind: str = "info", actions: str = "") -> str:
    """Return a message box; `kind` is info, done, empty, warning or error."""
    remedy_html = f"<p>{escape_html(remedy)}</p>" if remedy else ""
    role = "alert" if kind == "error" else "status"
    sentence_html = f"<p><strong>{escape_html(sentence)}</strong></p>"
    return f'<div class="notice {kind}" role="{role}">{sentence_html}{remedy_html}{actions}</div>'


def _escape_data(value: object) -> str:
    return escape(str(value), quote=True).replace("\r", "&#13;")
