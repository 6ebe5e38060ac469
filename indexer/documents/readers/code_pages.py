"""Know the encodings that Windows numbers: its code pages, and the character sets of its fonts."""

from __future__ import annotations

import codecs

_NAMED = {  # code pages of other names than cp and their number
    **{1200: "utf-16-le", 65001: "utf-8", 20127: "cp1252", 28591: "cp1252", 28599: "cp1254"},
    **{28590 + part: f"iso8859-{part}" for part in (2, 3, 4, 5, 6, 7, 8, 13, 15)},
    **{10000: "mac-roman", 10004: "mac-arabic", 10006: "mac-greek", 10007: "mac-cyrillic", 10029: "mac-latin2"},
    **{10079: "mac-iceland", 10081: "mac-turkish", 10010: "mac-romanian", 10082: "mac-croatian", 10017: "mac-cyrillic"},
    **{10001: "cp932", 10002: "cp950", 10003: "cp949", 10005: "cp1255", 10008: "gb18030", 10021: "cp874"},
    **{936: "gb18030", 51936: "gb18030", 54936: "gb18030", 52936: "hz", 20936: "gb18030", 1361: "johab"},
    **{20866: "koi8-r", 21866: "koi8-u", 51932: "euc_jp", 20932: "euc_jp", 51949: "cp949", 949: "cp949"},
    **{50220: "iso2022_jp", 50221: "iso2022_jp", 50222: "iso2022_jp", 50225: "iso2022_kr"},
}
_OF_FONTS = {
    **{0: 1252, 77: 10000, 78: 10001, 79: 10003, 80: 10008, 81: 10002, 83: 10005, 84: 10004, 85: 10006, 86: 10081},
    **{87: 10021, 88: 10029, 89: 10007, 128: 932, 129: 949, 130: 1361, 134: 936, 136: 950, 161: 1253, 162: 1254},
    **{163: 1258, 177: 1255, 178: 1256, 186: 1257, 204: 1251, 222: 874, 238: 1250, 254: 437, 255: 850},
}


def codec_of_code_page(number: int) -> str:
    """Return the name of Python's codec for a code page, "" if there is none."""
    name = _NAMED.get(number, f"cp{number}")
    try:
        return codecs.lookup(name).name
    except LookupError:
        return ""


def code_page_of_font(charset: int) -> int | None:
    """Return the code page for the number of a font's character set; None if text in it is in that of the document."""
    return _OF_FONTS.get(charset)
