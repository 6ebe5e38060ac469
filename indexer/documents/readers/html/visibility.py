"""What of a page a person sees in a browser. Style sheets and scripts are not considered."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

# fmt: off
# Never seen as text: what is inside them is code, a fallback, a control or the parts of a drawing.
_NOT_TEXT = {
    "script", "style", "template", "title", "noframes", "noembed", "embed", "applet", "audio", "video", "canvas",
    "map", "progress", "meter", "datalist", "option", "optgroup", "rp", "defs", "symbol", "desc", "metadata",
    "clippath", "annotation", "annotation-xml",
}
# Seen, but no part of the content, as long as they are not in one of the sections below.
_PAGE_FURNITURE = {"header", "footer", "aside"}
SECTIONS = {"main", "article", "section"}
_NEVER_CONTENT = {"nav", "search"}
_NO_CONTENT_ROLES = {"navigation", "banner", "contentinfo", "search"}
# Class names by which sites and frameworks hide text from all but screen readers.
_SCREEN_READER_CLASSES = {
    "sr-only", "visually-hidden", "visuallyhidden", "screen-reader-text", "screen-reader-only", "screenreader-text",
    "screenreader-only", "show-for-sr", "element-invisible", "assistive-text", "a11y-hidden", "u-visually-hidden",
}
# Their text is the name of a picture.
_ICON_CLASSES = {
    "material-icons", "material-icons-outlined", "material-icons-round", "material-symbols-outlined",
    "material-symbols-rounded", "material-symbols-sharp",
}
_HIDDEN_STYLES = {("display", "none"), ("visibility", "hidden"), ("visibility", "collapse")}
_PERMALINK_SYMBOLS = {"¶", "#", "§", "🔗", "↩", "↩︎"}
# fmt: on
# Elements with `aria-hidden` are seen, except for what opens on demand. KaTeX writes each formula twice.
_OPENED_ROLES = {"dialog", "alertdialog", "menu", "listbox", "tooltip"}
_OPENED_CLASSES = {"modal", "katex-html"}


def is_dropped(node: LexborNode, *, in_section: bool, scripted: bool) -> bool:
    """Return whether an element is not read: nobody sees it, or it is no part of the content.

    With `scripted` off, `noscript` is read, which browsers show if scripts are switched off.
    """
    tag = (node.tag or "").lower()
    if tag in _NOT_TEXT or tag in _NEVER_CONTENT or (tag == "noscript" and scripted):
        return True
    if tag in _PAGE_FURNITURE and not in_section and not _is_title_block(node):
        return True
    if tag == "button" and not _is_in_heading(node):
        return True
    attributes = node.attributes
    role = (attributes.get("role") or "").strip().lower()
    return (
        role in _NO_CONTENT_ROLES
        or _is_closed(tag, attributes)
        or _is_hidden(tag, role, attributes)
        or (tag == "object" and bool(attributes.get("data")))
        or (tag == "a" and _is_permalink(node, attributes))
    )


def is_seen(node: LexborNode) -> bool:
    """Return whether no element around `node`, up to the body, is hidden."""
    parent: LexborNode | None = node
    while parent is not None and parent.tag not in {"body", "html"}:
        attributes = parent.attributes
        tag = (parent.tag or "").lower()
        if tag in _NOT_TEXT or _is_closed(tag, attributes) or _is_hidden(tag, attributes.get("role") or "", attributes):
            return False
        parent = parent.parent
    return True


def _is_closed(tag: str, attributes: dict[str, str | None]) -> bool:
    return (tag == "dialog" and "open" not in attributes) or "popover" in attributes


def _is_hidden(tag: str, role: str, attributes: dict[str, str | None]) -> bool:
    if "hidden" in attributes and (attributes["hidden"] or "").strip().lower() != "until-found":
        return True
    if "style" in attributes and not _HIDDEN_STYLES.isdisjoint(_declarations(attributes["style"] or "").items()):
        return True
    classes = set((attributes.get("class") or "").split())
    if not classes.isdisjoint(_SCREEN_READER_CLASSES | _ICON_CLASSES):
        return True
    return attributes.get("aria-hidden") == "true" and (
        tag == "a" or role in _OPENED_ROLES or not classes.isdisjoint(_OPENED_CLASSES)
    )


def _declarations(style: str) -> dict[str, str]:
    declarations: dict[str, str] = {}
    for declaration in style.lower().split(";"):
        name, _, value = declaration.partition(":")
        declarations[name.strip()] = value.replace("!important", "").strip()
    return declarations


def _is_title_block(node: LexborNode) -> bool:
    """Return whether a header holds the title of the page, and no menu or search."""
    return (
        node.tag == "header"
        and node.css_first("h1") is not None
        and node.css_first("nav, form, input, button, [role=navigation], [role=search]") is None
    )


def _is_in_heading(node: LexborNode) -> bool:
    parent = node.parent
    while parent is not None and parent.tag in {"span", "div", "b", "strong"}:
        parent = parent.parent
    return parent is not None and parent.tag in {"h1", "h2", "h3", "h4", "h5", "h6", "summary", "legend"}


def _is_permalink(link: LexborNode, attributes: dict[str, str | None]) -> bool:
    child = link.first_child
    is_text_only = child is not None and child.is_text_node and child.next is None
    text = (child.text_content or "").strip() if is_text_only and child is not None else ""
    return "headerlink" in (attributes.get("class") or "").split() or text in _PERMALINK_SYMBOLS
