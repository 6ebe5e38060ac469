"""Make OpenDocument files for tests from the XML of their content."""

from __future__ import annotations

from collections.abc import Mapping

from powerpoint_files import zip_file

_OASIS = "urn:oasis:names:tc:opendocument:xmlns"
NAMESPACES = " ".join(
    [
        *(
            f'xmlns:{prefix}="{_OASIS}:{prefix}:1.0"'
            for prefix in ("office", "text", "table", "style", "presentation", "manifest")
        ),
        f'xmlns:draw="{_OASIS}:drawing:1.0" xmlns:svg="{_OASIS}:svg-compatible:1.0" xmlns:meta="{_OASIS}:meta:1.0"',
        'xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:dc="http://purl.org/dc/elements/1.1/"',
        'xmlns:math="http://www.w3.org/1998/Math/MathML"',
    ]
)


def text_style(name: str, properties: str, *, family: str = "text", attributes: str = "") -> str:
    """Return a style with properties of text."""
    return (
        f'<style:style style:name="{name}" style:family="{family}" {attributes}>'
        f"<style:text-properties {properties}/></style:style>"
    )


def list_style(name: str, *levels: str) -> str:
    """Return a list style: for each level "-" for a bullet, or the format of its number and what stands behind."""
    inner = "".join(
        f'<text:list-level-style-bullet text:level="{number}"/>'
        if level == "-"
        else f'<text:list-level-style-number text:level="{number}" style:num-format="{level[0]}" '
        f'style:num-suffix="{level[1:]}"/>'
        for number, level in enumerate(levels, 1)
    )
    return f'<text:list-style style:name="{name}">{inner}</text:list-style>'


def opendocument(
    body: str,
    *,
    kind: str = "text",
    styles: str = "",
    masters: str = "",
    title: str = "",
    members: Mapping[str, str | bytes] | None = None,
) -> bytes:
    """Return a file with a body of a kind, automatic styles, master pages, and further members."""
    return zip_file(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "META-INF/manifest.xml": f"<manifest:manifest {NAMESPACES}/>",
            "content.xml": _document(
                "document-content",
                f"<office:automatic-styles>{styles}</office:automatic-styles>{_body(body, kind)}",
            ),
            "styles.xml": _document("document-styles", f"<office:master-styles>{masters}</office:master-styles>"),
            "meta.xml": _document("document-meta", _meta(title)),
            **(members or {}),
        }
    )


def flat_opendocument(body: str, *, kind: str = "text", styles: str = "", title: str = "") -> bytes:
    """Return a file that is not an archive."""
    return _document(
        "document",
        f"{_meta(title)}<office:automatic-styles>{styles}</office:automatic-styles>{_body(body, kind)}",
    ).encode()


def slide(*shapes: str, notes: str = "", name: str = "page1") -> str:
    """Return a slide with shapes, and with notes."""
    page = f"<presentation:notes><draw:page-thumbnail/>{box(notes, kind='notes')}</presentation:notes>" if notes else ""
    return f'<draw:page draw:name="{name}">{"".join(shapes)}{page}</draw:page>'


def box(text: str, *, kind: str = "", at: tuple[int, int] = (0, 0)) -> str:
    """Return a text box, which may fill a placeholder of a kind, at a place in centimetres."""
    inner = text if text.startswith("<") else f"<text:p>{text}</text:p>"
    fills = f'presentation:class="{kind}"' if kind else ""
    place = f'svg:x="{at[0]}cm" svg:y="{at[1]}cm" svg:height="1cm"'
    return f"<draw:frame {fills} {place}><draw:text-box>{inner}</draw:text-box></draw:frame>"


def cell(text: str, attributes: str = "") -> str:
    """Return a cell of a table."""
    return f"<table:table-cell {attributes}><text:p>{text}</text:p></table:table-cell>"


def row(*cells: str, attributes: str = "") -> str:
    """Return a row of cells, or of their texts."""
    inner = "".join(piece if piece.startswith("<") else cell(piece) for piece in cells)
    return f"<table:table-row {attributes}>{inner}</table:table-row>"


def _document(root: str, content: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><office:{root} {NAMESPACES}>{content}</office:{root}>'


def _body(body: str, kind: str) -> str:
    return f"<office:body><office:{kind}>{body}</office:{kind}></office:body>"


def _meta(title: str) -> str:
    return f"<office:meta><dc:title>{title}</dc:title></office:meta>"
