"""Files of many kinds that try to hang, exhaust or mislead a reader."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import socket
import stat
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import docx
from archive_files import tar_bytes, tar_header, zip_bytes
from example_documents import pdf_file

MEGABYTE = 2**20

_XML = b'<?xml version="1.0" encoding="UTF-8"?>'
_BODY = b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>'
_BODY_END = b"</w:body></w:document>"
_PARAGRAPH = b"<w:p><w:r><w:t>x</w:t></w:r></w:p>"
LAUGHS = (
    b'<!DOCTYPE laughs [<!ENTITY a0 "lol">'
    + b"".join(b'<!ENTITY a%d "%s">' % (level, b"&a%d;" % (level - 1) * 10) for level in range(1, 12))
    + b"]>"
)

NAMES = (
    "new\nline.md", "tab\t.md", "\x1b[31mescape\x07.md", "\u202efdp.md", "n" * 252 + ".md", "up\\..\\..\\back.md",
    "-rf.md", "'; DROP TABLE documents; --.md", "%s%n{0}.md",
)  # fmt: skip


def docx_file(body: bytes, *, head: bytes = b"", more: Mapping[str, bytes] | None = None) -> bytes:
    """Return a DOCX with `body` as the XML of its body, `head` before the root element, and `more` archive members."""
    plain, made = io.BytesIO(), io.BytesIO()
    docx.Document().save(plain)
    with (
        zipfile.ZipFile(plain) as archive,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as changed,
    ):
        for member in archive.namelist():
            is_body = member == "word/document.xml"
            changed.writestr(member, _XML + head + _BODY + body + _BODY_END if is_body else archive.read(member))
        for name, content in (more or {}).items():
            changed.writestr(name, content)
    return made.getvalue()


def raw_pdf(kids: bytes, count: int, content: bytes, *, filters: bytes = b"", more: int = 0) -> bytes:
    """Return a PDF with one page object, `kids` in its page tree, and `more` further objects."""
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, count),
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Resources<</Font<</F1 5 0 R>>>>/Contents 4 0 R>>",
        b"<<%s/Length %d>>stream\n%s\nendstream" % (filters, len(content), content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        *[b"<</A 1>>"] * more,
    ]
    pieces, offsets, position = [b"%PDF-1.7\n"], [], 9
    for number, body in enumerate(objects, start=1):
        offsets.append(position)
        pieces.append(b"%d 0 obj\n%s\nendobj\n" % (number, body))
        position += len(pieces[-1])
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    trailer = b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, position)
    return b"".join([*pieces, head, table, trailer])


def plant_hostile(folder: Path) -> None:
    """Write all hostile files into a folder."""
    for name, content in {**_word_files(), **_pdf_files(), **_text_files(), **_archives()}.items():
        (folder / name).write_bytes(content)
    for name in NAMES:
        (folder / name).write_text(f"# A strange name\n\nThe text of {name!r} is innocent.\n")
    (folder / "sparse.txt").touch()
    os.truncate(folder / "sparse.txt", 1 << 30)
    _plant_special_files(folder)
    _plant_deep(folder / "deep")
    (folder / ".gitignore").write_bytes(b"a*" * 30 + b"b\n" + b"**/a/" * 20 + b"b\n" + b"\0" * MEGABYTE)


def _word_files() -> dict[str, bytes]:
    nested = io.BytesIO()
    with zipfile.ZipFile(nested, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", b"\0" * (100 * MEGABYTE))
    return {
        "zeros.docx": docx_file(b"\0" * (20 * MEGABYTE)),
        "blanks.docx": docx_file(b" " * (100 * MEGABYTE)),
        "nested.docx": docx_file(_PARAGRAPH, more={"word/inner.docx": nested.getvalue()}),
        "unpacks.docx": docx_file(_PARAGRAPH, more={f"word/{n}": b"\0" * (260 * MEGABYTE) for n in range(4)}),
        "elements.docx": docx_file(_PARAGRAPH * 5_000_000),
        "depth.docx": docx_file(b"<w:p>" * 100_000),
        "laughs.docx": docx_file(b"<w:p><w:r><w:t>&a11;</w:t></w:r></w:p>", head=LAUGHS),
        "outside.docx": docx_file(
            b"<w:p><w:r><w:t>&passwd;</w:t></w:r></w:p>",
            head=b'<!DOCTYPE x [<!ENTITY passwd SYSTEM "file:///etc/passwd">]>',
        ),
        "climbs.docx": docx_file(_PARAGRAPH, more={"../../climbed.md": b"Out.", "/tmp/climbed.md": b"Out."}),
        "truncated.docx": docx_file(_PARAGRAPH)[:5000],
    }


def _pdf_files() -> dict[str, bytes]:
    hello = b"BT /F1 12 Tf 50 700 Td (Hello there) Tj ET"
    many_words = b"BT /F1 12 Tf 50 700 Td " + b"(Hello there) Tj " * (5 * MEGABYTE) + b" ET"
    flate, twice = b"/Filter/FlateDecode", b"/Filter[/FlateDecode/FlateDecode]"
    good = pdf_file(["Some words of a page"] * 3)
    return {
        "objects.pdf": raw_pdf(b"3 0 R", 1, hello, more=1_000_000),
        "none.pdf": b"%PDF-1.7\n%%EOF",
        "blank.pdf": b" ",
        "loop.pdf": raw_pdf(b"2 0 R 2 0 R", 100, hello),
        "count.pdf": raw_pdf(b"3 0 R", 2_000_000_000, hello),
        "pages.pdf": raw_pdf(b"3 0 R " * 100_000, 100_000, hello),
        "blanks.pdf": raw_pdf(b"3 0 R", 1, zlib.compress(b" " * (200 * MEGABYTE), 1), filters=flate),
        "words.pdf": raw_pdf(b"3 0 R", 1, zlib.compress(many_words, 1), filters=flate),
        "twice.pdf": raw_pdf(b"3 0 R", 1, zlib.compress(zlib.compress(b" " * (200 * MEGABYTE), 1), 1), filters=twice),
        "arrays.pdf": raw_pdf(b"3 0 R", 1, b"[" * (5 * MEGABYTE)),
        "truncated.pdf": good[: len(good) // 2],
    }


def _archives() -> dict[str, bytes]:
    layer = zip_bytes({f"{n}.txt": b"a" * (32 * MEGABYTE) for n in range(8)})
    for _ in range(5):
        layer = zip_bytes({f"{n}.zip": layer for n in range(8)})
    terabyte = tar_header("terabyte.md", 10**12).tobuf() + b"x" * 9999
    good = {f"{n}.md": f"# {n}\n\nA text of archive number {n}.\n" for n in range(3)}
    return {
        "layers.zip": layer,
        "flat.zip": zip_bytes({f"{n}.bin": b"\0" * (64 * MEGABYTE) for n in range(4)}),
        "climbs.zip": zip_bytes({"../climbed.md": "Out.", "/tmp/climbed.md": "Out.", **good}),
        "many.zip": zip_bytes({f"{n}.bin": b"\0" for n in range(30_000)}),
        "terabyte.tar.gz": gzip.compress(terabyte),
        "endless.tar.xz": lzma.compress(terabyte + bytes(100 * MEGABYTE), preset=0),
        "truncated.tar.gz": tar_bytes({"noise.bin": os.urandom(MEGABYTE), **good})[:5000],
    }


def _text_files() -> dict[str, bytes]:
    umlauts = "Die Größe der Äpfel überraschte alle Gärtner. "
    return {
        "laughs.html": LAUGHS + b"<html><body><p>Laughs: &a11;</body></html>",
        "laughs.xml": LAUGHS + b"<laughs>&a11;</laughs>",
        "depth.html": b"<div>" * MEGABYTE + b"deep down",
        "line.txt": b"word " * (MEGABYTE // 2),
        "no-spaces.txt": b"x" * MEGABYTE,
        "long-text.txt": b"word " * (12 * MEGABYTE),
        "brackets.py": b"(" * MEGABYTE,
        "brackets.md": b"[" * 100_000 + b"](" * 100_000,
        "heading.md": b"# " + b"heading " * 100_000 + b"\n\n" + b"Text under it. " * 10_000,
        "utf16.txt": umlauts.encode("utf-16-le") * 100,
        "latin1.txt": umlauts.encode("latin-1") * 100,
        "nul.txt": b"a\0b" * 1000,
        "late-nul.txt": b"word " * 2000 + b"\0 and more",
        "bytes.txt": bytes(range(1, 256)) * 100,
        "surrogate.html": b"<p>half a pair: &#xD800; \xed\xa0\x80",
        "steers.txt": b"\x1b]0;owned\x07\x1b[2J words \xc2\x9b31m",
    }


def _plant_special_files(folder: Path) -> None:
    os.mkfifo(folder / "pipe.md")
    with suppress(OSError), socket.socket(socket.AF_UNIX) as listener:  # a path too long for a socket
        listener.bind(str(folder / "socket.md"))
    with suppress(PermissionError):
        os.mknod(folder / "device.md", stat.S_IFCHR | 0o600, os.makedev(1, 5))
    links = {
        "zero.md": "/dev/zero", "passwd.md": "/etc/passwd", "parent": "..", "self": ".", "dangling.md": "nowhere.md",
        "circle.md": "circle2.md", "circle2.md": "circle.md",
    }  # fmt: skip
    for name, target in links.items():
        (folder / name).symlink_to(target)
    with suppress(OSError):  # some systems reject names that are not text
        Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.md")).write_text("No name.\n")


def _plant_deep(folder: Path) -> None:
    """Nest folders until their path exceeds the maximum length."""
    folder.mkdir()
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(100):
        os.mkdir("d" * 60, dir_fd=descriptor)
        inner = os.open("d" * 60, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)
