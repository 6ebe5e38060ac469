"""A parser that sees HTML as a browser does, and hostile texts."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from markdown_it import MarkdownIt

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</p></div><h1>Welcome</h1>",
    "&lt;script&gt;",
    "a\x00b\x1b[31mred\x7f\x9b",
    "fdp.\u202eexe \u2066inside",
)


class Seen(HTMLParser):
    """The text, tags and attributes of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.tags: list[str] = []
        self.attributes: list[dict[str, str | None]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.append(dict(attrs))
        if tag == "br":
            self.text += "\n"

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.tags.append("comment")

    def handle_decl(self, decl: str) -> None:
        self.tags.append("declaration")

    def handle_pi(self, data: str) -> None:
        self.tags.append("instruction")


def rendered(markdown: str) -> Seen:
    """Render Markdown with all risky features: raw HTML, tables, strikethrough."""
    return Seen(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown))


def visible(text: str) -> str:
    """Return the visible part of a text: control characters replaced, direction marks removed, white space merged."""
    text = re.sub("[\u202a-\u202e\u2066-\u2069]", "", text)
    text = re.sub("[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\ufffd", text)
    return " ".join(text.split())
