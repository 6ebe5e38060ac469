"""Make electronic books for tests from their pages."""

from __future__ import annotations

from collections.abc import Mapping

from powerpoint_files import zip_file

_CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)


def page(body: str) -> str:
    """Return a page of a book."""
    return (
        '<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml" '
        f'xmlns:epub="http://www.idpf.org/2007/ops"><head><title/></head><body>{body}</body></html>'
    )


def navigation(*entries: tuple[str, str]) -> str:
    """Return a table of contents of EPUB 3, given the targets and titles of its entries."""
    links = "".join(f'<li><a href="{target}">{title}</a></li>' for target, title in entries)
    return page(
        '<nav epub:type="landmarks"><ol><li><a href="x">Start</a></li></ol></nav>'
        f'<nav epub:type="toc"><ol>{links}</ol></nav>'
    )


def old_navigation(*entries: tuple[str, str]) -> str:
    """Return a table of contents of EPUB 2."""
    points = "".join(
        f'<navPoint><navLabel><text>{title}</text></navLabel><content src="{target}"/></navPoint>'
        for target, title in entries
    )
    return f'<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap>{points}</navMap></ncx>'


def epub_file(
    pages: Mapping[str, str],
    *,
    nav: str = "",
    ncx: str = "",
    aside: tuple[str, ...] = (),
    title: str = "The Storm",
    members: Mapping[str, str | bytes] | None = None,
    spine: tuple[str, ...] | None = None,
) -> bytes:
    """Return a book with the bodies of its pages by their names; `aside` are those beside the flow of the text."""
    items = "".join(f'<item id="{name}" href="{name}.xhtml" media-type="application/xhtml+xml"/>' for name in pages)
    items += '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>' if nav else ""
    items += '<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>' if ncx else ""
    order = "".join(
        f'<itemref idref="{name}" linear="{"no" if name in aside else "yes"}"/>'
        for name in spine or (*pages, *(["nav"] if nav else []))
    )
    files: dict[str, str | bytes] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": _CONTAINER,
        "OEBPS/book.opf": (
            '<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
            f"<dc:title>{title}</dc:title></metadata><manifest>{items}</manifest>"
            f'<spine toc="ncx">{order}</spine></package>'
        ),
        **{f"OEBPS/{name}.xhtml": page(body) for name, body in pages.items()},
        **({"OEBPS/nav.xhtml": nav} if nav else {}),
        **({"OEBPS/toc.ncx": ncx} if ncx else {}),
        **(members or {}),
    }
    return zip_file(files)


def encryption(*parts: str, method: str = "http://www.w3.org/2001/04/xmlenc#aes256-cbc") -> dict[str, str]:
    """Return the member that says that parts are encrypted."""
    data = "".join(
        f'<e:EncryptedData><e:EncryptionMethod Algorithm="{method}"/><e:CipherData><e:CipherReference URI="{part}"/>'
        "</e:CipherData></e:EncryptedData>"
        for part in parts
    )
    return {"META-INF/encryption.xml": f'<encryption xmlns:e="http://www.w3.org/2001/04/xmlenc#">{data}</encryption>'}
