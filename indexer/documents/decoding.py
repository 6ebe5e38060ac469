"""Decode bytes to text: by a byte order mark, as UTF-8, by a declared encoding, or by a guess.

A few bytes that are wrong in the encoding of a file cost only their own characters, not the file.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import BinaryIO

from echo_index.errors import DocumentError
from echo_index.indexer.documents.legacy_encodings import guess_legacy, seven_bit_encoding
from echo_index.indexer.documents.wide_encodings import marked_encoding, unmarked_encoding
from echo_index.indexer.storage.safe_open import open_file

_HEAD_BYTES = 8192
_SAMPLE_BYTES = 256 * 1024
_FIRST_BYTES = 512
BINARY_SAMPLE_BYTES = _HEAD_BYTES + _SAMPLE_BYTES
"""What is looked at of a file, at most, to see whether it is binary."""
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

# Encodings that a page may declare: character sets, and none of Python's codecs for escapes, domain names or archives.
_DECLARABLE = re.compile(
    r"utf-8|cp\d+|iso8859-\d+|koi8-\w|mac-\w+|gb2312|gbk|gb18030|big5(hkscs)?|shift_jis\w*|euc_\w+|iso2022_\w+|johab|tis-620|hz"
)
# Browsers read the first as the second, which has more characters, and pages are written for browsers.
_READ_AS = {
    **{"ascii": "cp1252", "iso8859-1": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874", "tis-620": "cp874"},
    **{"gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs", "shift_jis": "cp932", "euc_kr": "cp949"},
}

_HIGH_BYTES = bytes(range(0x80, 0x100))
_CONTROLS = bytes({*range(0x20), 0x7F} - {*b"\0\b\t\n\v\f\r\x1a\x1b"})
_NULS = re.compile(rb"\0+")
# Letters of Western Europe in Windows-1252. As the last byte of a file, or as C2 or C3, it is the start of a letter in
# UTF-8 whose rest was cut off; the others are too rare to be believed.
_STRAY_LETTERS = frozenset(range(0xC0, 0x100)) - frozenset((0xC2, 0xC3, 0xD0, 0xD7, 0xDE, 0xF0, 0xF7, 0xFE, 0xFF))


def is_binary(path: Path) -> bool:
    """Return whether the beginning of a file reads as text in no encoding.

    Raises:
        DocumentError: the path is not a regular file.
        OSError: the file cannot be read.
    """
    with open_file(path) as file:
        return begins_binary(file)


def begins_binary(file: BinaryIO) -> bool:
    """Return whether what an open file begins with reads as text in no encoding.

    Raises:
        OSError: the file cannot be read.
    """
    sample = file.read(_HEAD_BYTES)
    if b"\0" in sample:
        sample += file.read(_SAMPLE_BYTES)
    return _looks_binary(sample)


def decode(content: bytes, *, declared: str = "") -> str:
    r"""Return the text of `content`, with "\n" as the only line end and without NUL characters or byte order marks.

    The encoding is the first that fits of: that of a byte order mark, UTF-16 or UTF-32 without a mark, UTF-8,
    `declared`, UTF-8 but for a few bytes, the best guess. So UTF-8 that is declared as something else is read right.

    Raises:
        DocumentError: the content is binary, or not in the encoding that its byte order mark names.
    """
    sample = content[:_SAMPLE_BYTES]
    wide = marked_encoding(sample) or unmarked_encoding(sample)
    if wide:
        text = _decode_wide(content, wide)
    elif _looks_binary(sample):
        raise DocumentError("It is a binary file.")
    else:
        text = _decode_bytes(content, _codec_name(declared))
    text = text.replace("\N{ZERO WIDTH NO-BREAK SPACE}", "")  # the mark; inside, it shows where files were joined
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", " ")


def _looks_binary(sample: bytes) -> bool:
    if marked_encoding(sample) or unmarked_encoding(sample):
        return False
    if b"\0" in sample:
        # Many binary files have a text in them, but few begin with one.
        return _is_not_only_text(sample[:_FIRST_BYTES], controls=0) or _is_not_only_text(sample, controls=0.001)
    return _count(sample, _CONTROLS) > 0.01 * len(sample) and _decode_mostly_utf8(sample) is None


def _is_not_only_text(sample: bytes, *, controls: float) -> bool:
    """Return whether a sample has more control characters than this share, or many NULs or non-ASCII bytes.

    A log after a crash has NULs in a few places, and a list of file names may have one after each name.
    """
    text = sample.replace(b"\0", b"")
    if _count(text, _CONTROLS) > controls * len(text) or 20 * len(_NULS.findall(sample)) > len(text):
        return True
    return 3 * _count(text, _HIGH_BYTES) > len(text) and _decode_mostly_utf8(text) is None


def _count(content: bytes, some: bytes) -> int:
    """Return how many bytes of `content` are among `some`."""
    return len(content) - len(content.translate(None, some))


def _decode_wide(content: bytes, encoding: str) -> str:
    text = content.decode(encoding, "replace")
    if 50 * (text.count(_REPLACEMENT) - 1) > len(text):
        raise DocumentError(f"It begins as {encoding.upper()} but is not valid {encoding.upper()}.")
    return text


def _decode_bytes(content: bytes, declared: str | None) -> str:
    if content.isascii():
        return content.decode(declared or seven_bit_encoding(content) or "ascii", "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        pass
    text = None
    if declared == "utf-8":
        text = _decode_mostly_utf8(content, benefit=1)
    elif declared:
        text = _decode_mostly(content, declared)
    if text is None:
        text = _decode_mostly_utf8(content)
    return content.decode(guess_legacy(content), "replace") if text is None else text


def _codec_name(declared: str) -> str | None:
    """Return the codec for a declared encoding, or None if there is none or it is no character set."""
    try:
        name = codecs.lookup(declared).name if declared.isascii() else ""
    except (LookupError, ValueError):
        return None
    name = _READ_AS.get(name, name)
    return name if _DECLARABLE.fullmatch(name) else None


def _decode_mostly(content: bytes, encoding: str) -> str | None:
    """Return the text in an encoding if at most one in twenty of its letters is wrong."""
    text = content.decode(encoding, "replace")
    return text if 20 * text.count(_REPLACEMENT) <= _count(content, _HIGH_BYTES) else None


def _decode_mostly_utf8(content: bytes, *, benefit: int = 0) -> str | None:
    """Return the text in UTF-8 if it has at least as many letters outside ASCII as wrong bytes, less a benefit.

    Text in another encoding hardly ever has a letter of UTF-8. A wrong byte becomes U+FFFD, or if it stands beside an
    ASCII letter, the letter that Windows-1252 has for it: programs with different encodings may write to one log.
    """
    text = content.decode("utf-8", "replace")
    written = content.count(_REPLACEMENT.encode())
    wrong = text.count(_REPLACEMENT) - written
    letters = len(text) - wrong - (len(content) - _count(content, _HIGH_BYTES))
    return content.decode("utf-8", _STRAY_LETTER) if wrong <= letters + benefit else None


def _stray_letter(error: UnicodeError) -> tuple[str, int]:
    """Return what stands for a wrong byte, and where decoding goes on."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    content, start, end = error.object, error.start, error.end
    beside = content[max(0, start - 1) : start] + content[end : end + 1]
    in_word = any(chr(byte).isalpha() for byte in beside if byte < 0x80)
    believed = in_word and content[start] in _STRAY_LETTERS and end - start == 1 and end < len(content)
    return (chr(content[start]) if believed else _REPLACEMENT), end


_STRAY_LETTER = "echo_index.stray_letter"
codecs.register_error(_STRAY_LETTER, _stray_letter)
