"""Make presentations for tests from the XML of their slides."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

NAMESPACES = (
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" '
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" '
    'xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:a14="http://schemas.microsoft.com/office/drawing/2010/main"'
)
_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"


@dataclass(frozen=True)
class Slide:
    """A slide: its shapes, its relations (type and target by identifier), and its attributes."""

    shapes: str
    relations: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    attributes: str = ""


def part(root: str, content: str, *, attributes: str = "") -> str:
    """Return the XML of a part with this root element."""
    return f'<?xml version="1.0" encoding="UTF-8"?><{root} {NAMESPACES} {attributes}>{content}</{root}>'


def run(text: str, *, properties: str = "", attributes: str = "") -> str:
    """Return a run."""
    return f"<a:r><a:rPr {attributes}>{properties}</a:rPr><a:t>{text}</a:t></a:r>"


def paragraph(*runs: str, properties: str = "", level: int = 0) -> str:
    """Return a paragraph of runs, or of texts."""
    inner = "".join(piece if piece.startswith("<") else run(piece) for piece in runs)
    return f'<a:p><a:pPr lvl="{level}">{properties}</a:pPr>{inner}<a:endParaRPr/></a:p>'


def shape(
    *paragraphs: str,
    placeholder: str | None = None,
    at: tuple[int, int] | None = None,
    height: int = 100,
    names: str = "",
    list_style: str = "",
) -> str:
    """Return a shape with paragraphs, or texts. `placeholder` are the attributes of what it fills."""
    inner = "".join(piece if piece.startswith("<") else paragraph(piece) for piece in paragraphs)
    fills = "" if placeholder is None else f"<p:ph {placeholder}/>"
    return (
        f'<p:sp><p:nvSpPr><p:cNvPr id="2" name="Shape 1" {names}/><p:cNvSpPr/><p:nvPr>{fills}</p:nvPr></p:nvSpPr>'
        f"<p:spPr>{position('a:xfrm', at, height)}</p:spPr>"
        f"<p:txBody><a:bodyPr/><a:lstStyle>{list_style}</a:lstStyle>{inner}</p:txBody></p:sp>"
    )


def title(text: str) -> str:
    """Return a shape that fills the placeholder of the title."""
    return shape(text, placeholder='type="title"')


def position(element: str, at: tuple[int, int] | None, height: int = 100) -> str:
    """Return the place of a shape, given its left and upper edge."""
    if at is None:
        return ""
    return f'<{element}><a:off x="{at[0]}" y="{at[1]}"/><a:ext cx="100" cy="{height}"/></{element}>'


def group(*shapes: str, at: tuple[int, int], names: str = "") -> str:
    """Return a group of shapes."""
    return (
        f'<p:grpSp><p:nvGrpSpPr><p:cNvPr id="3" name="Group 1" {names}/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr>'
        f"<p:grpSpPr>{position('a:xfrm', at)}</p:grpSpPr>{''.join(shapes)}</p:grpSp>"
    )


def picture(names: str, *, at: tuple[int, int] = (0, 0)) -> str:
    """Return a picture with attributes such as its alternative text."""
    return (
        f'<p:pic><p:nvPicPr><p:cNvPr id="4" name="Picture 3" {names}/><p:cNvPicPr/><p:nvPr/></p:nvPicPr>'
        f"<p:spPr>{position('a:xfrm', at)}</p:spPr></p:pic>"
    )


def frame(content: str, *, at: tuple[int, int] = (0, 0), names: str = "") -> str:
    """Return a frame with a table, chart, diagram or object in it."""
    return (
        f'<p:graphicFrame><p:nvGraphicFramePr><p:cNvPr id="5" name="Frame 4" {names}/><p:cNvGraphicFramePr/><p:nvPr/>'
        f"</p:nvGraphicFramePr>{position('p:xfrm', at)}<a:graphic><a:graphicData>{content}</a:graphicData></a:graphic>"
        "</p:graphicFrame>"
    )


def table(*rows: str) -> str:
    """Return a table of rows."""
    return frame(f"<a:tbl><a:tblPr/>{''.join(rows)}</a:tbl>")


def row(*cells: str) -> str:
    """Return a row of cells, or of their texts."""
    return f"<a:tr>{''.join(piece if piece.startswith('<') else cell(piece) for piece in cells)}</a:tr>"


def cell(text: str, *, attributes: str = "") -> str:
    """Return a cell with a text."""
    return f"<a:tc {attributes}><a:txBody><a:bodyPr/>{paragraph(text)}</a:txBody><a:tcPr/></a:tc>"


def slide_part(shapes: str, *, root: str = "p:sld", attributes: str = "", after: str = "") -> str:
    """Return the XML of a slide, a layout, a master or a page of notes."""
    return part(root, f"<p:cSld><p:spTree>{shapes}</p:spTree></p:cSld>{after}", attributes=attributes)


def powerpoint_file(
    *slides: Slide | str,
    parts: Mapping[str, str | bytes] | None = None,
    relations: Mapping[str, Mapping[str, tuple[str, str]]] | None = None,
    order: Sequence[int] | None = None,
    attributes: str = "",
    title: str = "",
) -> bytes:
    """Return a presentation.

    `parts` are further parts of the folder ppt, `relations` those of parts by their names. `order` are the numbers of
    the slides as they are shown, from 1; a number without a slide leads nowhere.
    """
    found = [slide if isinstance(slide, Slide) else Slide(slide) for slide in slides]
    shown = order if order is not None else range(1, len(found) + 1)
    listed = "".join(f'<p:sldId id="{256 + place}" r:id="rId{number}"/>' for place, number in enumerate(shown))
    members: dict[str, str | bytes] = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"/>',
        "_rels/.rels": _relations({"rId1": ("officeDocument", "ppt/presentation.xml")}),
        "ppt/presentation.xml": part("p:presentation", f"<p:sldIdLst>{listed}</p:sldIdLst>", attributes=attributes),
        "ppt/_rels/presentation.xml.rels": _relations(
            {f"rId{number}": ("slide", f"slides/slide{number}.xml") for number in {*shown, *range(len(found) + 1)}}
        ),
        "docProps/core.xml": f'<c xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title></c>',
    }
    for number, slide in enumerate(found, 1):
        members[f"ppt/slides/slide{number}.xml"] = slide_part(slide.shapes, attributes=slide.attributes)
        members[f"ppt/slides/_rels/slide{number}.xml.rels"] = _relations(slide.relations)
    for name, links in (relations or {}).items():
        folder, _, file = name.rpartition("/")
        members[f"ppt/{folder}/_rels/{file}.rels"] = _relations(links)
    return zip_file({**members, **{f"ppt/{name}": content for name, content in (parts or {}).items()}})


def zip_file(members: Mapping[str, str | bytes]) -> bytes:
    """Return a ZIP archive of members by their names."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def _relations(links: Mapping[str, tuple[str, str]]) -> str:
    inner = "".join(
        f'<Relationship Id="{key}" Type="{_RELATION}/{type}" Target="{target}"/>'
        for key, (type, target) in links.items()
    )
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{inner}</Relationships>'
