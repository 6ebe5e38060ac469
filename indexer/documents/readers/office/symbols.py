"""Turn the signs of symbol fonts into Unicode: in these fonts "a" is α, or a tick."""

from __future__ import annotations

import re

_PRIVATE_USE = 0xF000  # Word stores the codes of symbol fonts from here on
_FIRST, _LAST = 0x20, 0xFF
_DIGITS = re.compile(r"\d{1,9}", re.ASCII)

# The font Symbol, sixteen characters a line from 0x20. A NUL stands for a code without a sign.
_SYMBOL = (
    " !∀#∃%&∋()∗+,−./"
    "0123456789:;<=>?"
    "≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟ"
    "ΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_"
    "‾αβχδεφγηιϕκλμνο"
    "πθρστυϖωξψζ{|}∼\0"
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓"
    "°±″≥×∝∂•÷≠≡≈…⏐⎯↵"
    "ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉"
    "∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓"
    "◊〈®©™∑⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪"
    "\0〉∫⌠⎮⌡⎞⎟⎠⎤⎥⎦⎫⎬⎭\0"
)

# Of the ornamental fonts only signs with a meaning: marks, pointers, arrows, numbers. All else is decoration.
_WINGDINGS = {
    0x21: "✏", 0x22: "✂", 0x28: "☎", 0x29: "✆", 0x2A: "✉", 0x36: "⌛", 0x3F: "✍", 0x41: "✌", 0x43: "👍", 0x44: "👎",
    0x45: "☜", 0x46: "☞", 0x47: "☝", 0x48: "☟", 0x4A: "☺", 0x4C: "☹", 0x4E: "☠", 0x51: "✈", 0x52: "☼", 0x54: "❄",
    0x6C: "●", 0x6E: "■", 0x6F: "□", 0x71: "❑", 0x72: "❒", 0x73: "⬧", 0x74: "⧫", 0x75: "◆", 0x76: "❖", 0x77: "⬥",
    0x78: "☒", 0x80: "⓪", **{0x81 + place: chr(0x2460 + place) for place in range(10)},
    0x8B: "⓿", **{0x8C + place: chr(0x2776 + place) for place in range(10)},
    0x9E: "·", 0x9F: "•", 0xA1: "○", 0xA7: "▪", 0xA8: "☐", 0xAB: "★", 0xD8: "➢", 0xDF: "←", 0xE0: "→", 0xE1: "↑",
    0xE2: "↓", 0xE3: "↖", 0xE4: "↗", 0xE5: "↙", 0xE6: "↘", 0xE7: "←", 0xE8: "→", 0xE9: "↑", 0xEA: "↓", 0xEF: "⇦",
    0xF0: "⇨", 0xF1: "⇧", 0xF2: "⇩", 0xF3: "⬄", 0xFB: "✗", 0xFC: "✓", 0xFD: "☒", 0xFE: "☑",
}  # fmt: skip
_WINGDINGS_2 = {0x4F: "✗", 0x50: "✓", 0x51: "☒", 0x52: "☑", 0x53: "☒", 0x54: "☒", 0x55: "☒", 0x97: "●", 0xA3: "☐"}
_WINGDINGS_3 = {0x66: "←", 0x67: "→", 0x68: "↑", 0x69: "↓", 0x6A: "↖", 0x6B: "↗", 0x6C: "↙", 0x6D: "↘"}
_WEBDINGS = {0x33: "◀", 0x34: "▶", 0x35: "▲", 0x36: "▼", 0x61: "✓", 0x63: "□", 0x67: "■", 0x6E: "●", 0x72: "✗"}
_FONTS = {
    "symbol": {_FIRST + place: sign for place, sign in enumerate(_SYMBOL) if sign != "\0"},
    "wingdings": _WINGDINGS,
    "wingdings 2": _WINGDINGS_2,
    "wingdings 3": _WINGDINGS_3,
    "webdings": _WEBDINGS,
}


def is_symbol_font(font: str) -> bool:
    """Return whether letters of a font are shown as signs that have other codes in Unicode."""
    return font.lower() in _FONTS


def symbol_text(text: str, *, font: str) -> str:
    """Return what a person sees of a text in a symbol font. An ornament without a meaning becomes nothing."""
    return "".join(_sign(character, _FONTS[font.lower()]) for character in text)


def symbol(code: str, *, font: str) -> str:
    """Return the character that Word shows for an inserted symbol, given its code in hexadecimal digits.

    In a font of letters, a code for private use stands for the character of Windows-1252 with the same last two digits.
    """
    try:
        character = chr(int(code, 16))
    except (ValueError, OverflowError):
        return ""
    if is_symbol_font(font):
        return symbol_text(character, font=font)
    if 0 <= ord(character) - _PRIVATE_USE <= _LAST:
        return bytes([ord(character) - _PRIVATE_USE]).decode("cp1252", "ignore")
    return character if character.isprintable() else ""


def symbol_of_field(code: str) -> str:
    r"""Return the character of a field such as `SYMBOL 179 \f Symbol`, "" for other fields."""
    words = code.replace('"', " ").split()
    if len(words) < 2 or words[0].upper() != "SYMBOL":
        return ""
    font = " ".join(words[words.index(r"\f") + 1 :]).split("\\")[0].strip() if r"\f" in words else ""
    number_text = words[1].lower().removeprefix("0x")
    is_decimal = number_text == words[1].lower()
    digits = f"{int(number_text):x}" if is_decimal and _DIGITS.fullmatch(number_text) else number_text
    return symbol(digits, font=font)


def _sign(character: str, signs: dict[int, str]) -> str:
    code = ord(character)
    if code > _LAST and not _PRIVATE_USE <= code <= _PRIVATE_USE + _LAST:
        windows = character.encode("cp1252", "ignore")
        if not windows:
            return character  # the font lacks it, and Word shows it in another one
        code = windows[0]
    code = code - _PRIVATE_USE if code > _LAST else code
    if code <= _FIRST:
        return character if code == ord(character) else " "
    return signs.get(code, "")
