"""Write the numbers of lists and notes as Word shows them: 3, iii, c."""

from __future__ import annotations

_ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl")),
    *((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)
_LATIN, _CYRILLIC = "abcdefghijklmnopqrstuvwxyz", "абвгдежзиклмнопрстуфхцчшщыэюя"
_NOTE_SIGNS = "*†‡§"
_MAX_IN_LETTERS = 780  # the last number that Word writes in letters
_MAX_IN_ROMAN = 32767
_CIRCLED_ONE, _MAX_CIRCLED = 0x2460, 20


def format_number(number: int, format: str) -> str:
    """Return a number in a format of WordprocessingML, in digits if the format is not known here."""
    if format == "none":
        return ""
    if format == "decimalZero":
        return f"{number:02}"
    if format == "ordinal":
        return f"{number}{_ordinal_ending(number)}"
    if format in {"lowerRoman", "upperRoman"}:
        text = _roman(number)
    elif format in {"lowerLetter", "upperLetter"}:
        text = _letters(number, _LATIN)
    elif format in {"russianLower", "russianUpper"}:
        text = _letters(number, _CYRILLIC)
    elif format == "chicago":
        text = _letters(number, _NOTE_SIGNS)
    elif format == "decimalEnclosedCircle" and 1 <= number <= _MAX_CIRCLED:
        text = chr(_CIRCLED_ONE + number - 1)
    elif format == "numberInDash":
        text = f"- {number} -"
    else:
        text = str(number)
    return text.upper() if format.startswith("upper") or format == "russianUpper" else text


def _roman(number: int) -> str:
    if not 1 <= number <= _MAX_IN_ROMAN:
        return str(number)
    text = ""
    for worth, letters in _ROMAN:
        text += letters * (number // worth)
        number %= worth
    return text


def _letters(number: int, alphabet: str) -> str:
    """Return a letter, repeated when the alphabet is used up: z, aa, bb."""
    if not 1 <= number <= _MAX_IN_LETTERS:
        return str(number)
    return alphabet[(number - 1) % len(alphabet)] * ((number - 1) // len(alphabet) + 1)


def _ordinal_ending(number: int) -> str:
    return "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
