"""Decode bytes to text: by a byte order mark, a declared encoding, as UTF-8, or by a guess."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from echo_index.errors import DocumentError
from echo_index.indexer.storage.safe_open import open_file

_HEAD_BYTES = 8192

# UTF-32 comes first: its little-endian mark begins with the one of UTF-16.
_WIDE_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WIDE_MARK_BYTES = tuple(mark for mark, _ in _WIDE_MARKS)

# Encodings that a page may declare: character sets, and none of Python's codecs for escapes, domain names or archives.
_DECLARABLE = re.compile(
    r"utf-8|cp\d+|iso8859-\d+|koi8-\w|mac-\w+|gb2312|gbk|gb18030|big5(hkscs)?|shift_jis\w*|euc_\w+|iso2022_\w+|johab|tis-620|hz"
)


def is_binary(path: Path) -> bool:
    """Return whether a file is binary: it has a NUL byte near its start and no mark of UTF-16 or UTF-32.

    Raises:
        DocumentError: the path is not a regular file.
        OSError: the file cannot be read.
    """
    with open_file(path) as file:
        return _looks_binary(file.read(_HEAD_BYTES))


def decode(content: bytes, *, declared: str = "") -> str:
    r"""Return the text of `content`, with "\n" as the only line end and without NUL characters or a byte order mark.

    The encoding is the first that fits of: that of a byte order mark, `declared`, UTF-8, the best guess.

    Raises:
        DocumentError: the content is binary, or no encoding fits.
    """
    if _looks_binary(content[:_HEAD_BYTES]):
        raise DocumentError("It is a binary file.")
    text = _decode_marked(content)
    if text is None and declared:
        text = _decode_declared(content, declared)
    if text is None:
        text = _decode_utf8(content)
    if text is None:
        text = _decode_guessed(content)
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", " ")


def _looks_binary(head: bytes) -> bool:
    return b"\0" in head and not head.startswith(_WIDE_MARK_BYTES)


def _decode_marked(content: bytes) -> str | None:
    for mark, encoding in _WIDE_MARKS:
        if content.startswith(mark):
            try:
                return content.decode(encoding)
            except UnicodeDecodeError as error:
                raise DocumentError(
                    f"It begins with a mark of {encoding.upper()} but is not valid {encoding.upper()}."
                ) from error
    return None


def _decode_declared(content: bytes, encoding: str) -> str | None:
    try:
        name = codecs.lookup(encoding).name if encoding.isascii() else ""
        # Browsers read both as Windows-1252, and pages are written for browsers.
        name = "cp1252" if name in {"ascii", "iso8859-1"} else name
        return content.decode(name) if _DECLARABLE.fullmatch(name) else None
    except (LookupError, ValueError):
        return None


def _decode_utf8(content: bytes) -> str | None:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def _decode_guessed(content: bytes) -> str:
    from charset_normalizer import from_bytes

    guess = from_bytes(content).best()
    if guess is None:
        raise DocumentError("Its text encoding cannot be detected.", remedy="Save it as UTF-8.")
    return str(guess).encode("utf-8", "replace").decode("utf-8")
