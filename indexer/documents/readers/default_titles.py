"""Know the titles that programs give to presentations without one."""

from __future__ import annotations

# fmt: off
_DEFAULT_TITLES = {  # which PowerPoint fills in
    "presentation", "powerpoint presentation", "powerpoint-präsentation", "présentation powerpoint",
    "presentación de powerpoint",
    "presentazione standard di powerpoint", "apresentação do powerpoint", "powerpoint-presentatie",
    "prezentacja programu powerpoint", "презентация powerpoint",
}
# fmt: on


def is_default_title(title: str) -> bool:
    """Return whether a title is none of the author: empty, or what PowerPoint fills in."""
    return title.strip().lower() in {"", *_DEFAULT_TITLES}
