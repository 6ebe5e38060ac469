"""Archives for tests, made in memory."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping

Content = str | bytes


def zip_bytes(files: Mapping[str, Content], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a ZIP archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def tar_bytes(files: Mapping[str, Content], *, compression: str = "gz", encoding: str = "utf-8") -> bytes:
    """Return a TAR archive in the format of GNU, whose names may be in any encoding."""
    file = io.BytesIO()
    options = {"format": tarfile.GNU_FORMAT, "encoding": encoding}
    with tarfile.open(fileobj=file, mode=f"w:{compression}", **options) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            archive.addfile(tar_header(name, len(data)), io.BytesIO(data))
    return file.getvalue()


def tar_header(name: str, size: int = 0, *, type: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    """Return the header of a file in a TAR archive."""
    header = tarfile.TarInfo(name)
    header.size, header.type, header.linkname = size, type, target
    return header


def zip_with_names(names: Mapping[bytes, bytes], *, flag: int = 0, extra: bytes = b"") -> bytes:
    """Return a ZIP archive of stored files whose names are these bytes, written as an old program would."""
    body, directory = b"", b""
    for name, content in names.items():
        crc = zlib.crc32(content)
        common = struct.pack("<HHHHHIIIHH", 20, flag, 0, 0, 33, crc, len(content), len(content), len(name), len(extra))
        directory += b"PK\1\2" + struct.pack("<H", 20) + common + struct.pack("<HHHII", 0, 0, 0, 0, len(body))
        directory += name + extra
        body += b"PK\3\4" + common + name + extra + content
    end = struct.pack("<HHHHIIH", 0, 0, len(names), len(names), len(directory), len(body), 0)
    return body + directory + b"PK\5\6" + end
