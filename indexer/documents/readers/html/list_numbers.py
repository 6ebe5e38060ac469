"""The markers before the items of a list, as a browser shows them: a dash, a number, letters or a Roman numeral."""

from __future__ import annotations

from dataclasses import dataclass

_ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl")),
    *((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)
_MAX_ROMAN = 3999


@dataclass(slots=True)
class ListNumbers:
    """Counts the items of an ordered list. `style` is its attribute `type`: 1, a, A, i or I."""

    next_number: int = 1
    step: int = 1
    style: str = "1"

    def marker(self, number: int | None = None) -> str:
        """Return the marker of the next item: `3. `. It has the next number, or the one given."""
        if number is not None:
            self.next_number = number
        text = _write(self.next_number, self.style)
        self.next_number += self.step
        return f"{text}. "


def _write(number: int, style: str) -> str:
    if style in {"a", "A"} and number > 0:
        text = _letters(number)
    elif style in {"i", "I"} and 0 < number <= _MAX_ROMAN:
        text = _roman(number)
    else:
        return str(number)
    return text.upper() if style.isupper() else text


def _letters(number: int) -> str:
    text = ""
    while number:
        number, letter = divmod(number - 1, 26)
        text = chr(ord("a") + letter) + text
    return text


def _roman(number: int) -> str:
    text = ""
    for value, digits in _ROMAN:
        count, number = divmod(number, value)
        text += digits * count
    return text
