"""Write a number as a program for spreadsheets shows it, by the format code of its cell (ECMA-376, 18.8.31)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache

BUILT_IN_FORMATS = {
    1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 5: '"$"#,##0;("$"#,##0)', 6: '"$"#,##0;("$"#,##0)',
    7: '"$"#,##0.00;("$"#,##0.00)', 8: '"$"#,##0.00;("$"#,##0.00)', 9: "0%", 10: "0.00%", 11: "0.00E+00",
    37: "#,##0;(#,##0)", 38: "#,##0;(#,##0)", 39: "#,##0.00;(#,##0.00)", 40: "#,##0.00;(#,##0.00)",
    41: '#,##0;(#,##0);"-"', 42: '"$"#,##0;("$"#,##0);"-"', 43: '#,##0.00;(#,##0.00);"-"',
    44: '"$"#,##0.00;("$"#,##0.00);"-"', 48: "##0.0E+0",
}  # fmt: skip
"""The codes of the numbers below 164, which no file contains; without those of dates, fractions and text."""

_MAX_CODE_LENGTH = 500
_MAX_DECIMALS = 30  # as many as programs allow
_MAX_NUMBER = 1e21  # larger ones are shown as without a format
_ARITHMETIC = Context(prec=60)  # digits: as many as the largest number has with all decimals
_DIGITS = 15  # of a number that programs know
_TOKEN = re.compile(
    r"""
    "(?P<quoted>[^"]*)"? | \\(?P<escaped>.) | _. | \*. | \[\$(?P<currency>[^\]-]*)[^\]]*\]
    | \[(?P<condition>[<>=]{1,2}-?[\d.]+)\] | \[(?P<other>[^\]]*)\]
    | (?P<exponent>E[+-][0#?]+) | (?P<general>General) | (?P<plain>.)
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_COLOUR = re.compile(r"black|blue|cyan|green|magenta|red|white|yellow|colou?r ?\d+", re.IGNORECASE)
_SECTION_END = re.compile(r'("[^"]*"?|\\.|\[[^\]]*\]|[^;"\\\[]|[\[\\])*', re.DOTALL)
_DATE_LETTERS = frozenset("ymdhsbgenaYMDHSBGENA")  # any of them unquoted: the code is that of a date, or unknown
_PLAIN = re.compile(r"(?P<before>x*)[#?]*0(?:\.(?P<decimals>0*)x*|x*\.)")
_NO_DATE = re.compile(r'"[^"]*"?|\\.|\[[^\]]*\]|general', re.IGNORECASE | re.DOTALL)
_DAY = re.compile(r"[yd]", re.IGNORECASE)
_NOT_ZERO = re.compile(r"[1-9]")
_CONDITION = re.compile(r"([<>=]{1,2})(-?[\d.]+)")


@dataclass(frozen=True, slots=True)
class _Section:
    """One of the sections of a code: texts and digits, "0", "#" and "?", in their order.

    `point` is the number of items before the decimal point. `scale` is the power of ten by which the number is
    multiplied.
    """

    items: tuple[tuple[str, str], ...]  # ("digit", "0") or ("text", "km")
    point: int | None
    scale: int
    has_groups: bool
    exponent: str
    is_general: bool
    condition: str
    plain: _Plain | None

    @property
    def has_digits(self) -> bool:
        return any(kind == "digit" for kind, _ in self.items)


@dataclass(frozen=True, slots=True)
class _Plain:
    """A section whose digits stand together, at least one before the point and as many behind it as `step` has.

    Most sections are so, and their numbers can be written five times faster.
    """

    before: str
    after: str
    step: Decimal
    specification: str  # of `format`

    @classmethod
    def of(cls, items: Sequence[tuple[str, str]], *, point: int | None, has_groups: bool) -> _Plain | None:
        """Return the section with these items, None if it is not plain."""
        marks = "".join(text if kind == "digit" else "x" for kind, text in items)
        point = len(items) if point is None else point
        match = _PLAIN.fullmatch(f"{marks[:point]}.{marks[point:]}")
        if not match:
            return None
        texts = [text for kind, text in items if kind == "text"]
        decimals = len(match["decimals"] or "")
        before = "".join(texts[: len(match["before"])])
        after = "".join(texts[len(match["before"]) :])
        return cls(before, after, Decimal(1).scaleb(-decimals), ",f" if has_groups else "f")

    def text(self, number: Decimal) -> str:
        """Return a number that is not negative."""
        rounded = number.quantize(self.step, rounding=ROUND_HALF_UP, context=_ARITHMETIC)
        return f"{self.before}{rounded:{self.specification}}{self.after}"


def is_number_format(code: str) -> bool:
    """Return whether a code shows numbers in a way of its own; not those of dates, fractions and text."""
    return bool(_sections(code))


def is_date_format(code: str) -> bool:
    """Return whether a code shows a day. Times alone are none."""
    return len(code) <= _MAX_CODE_LENGTH and _DAY.search(_NO_DATE.sub("", code.partition(";")[0])) is not None


def number_text(value: float, code: str, *, general: str) -> str:
    """Return how a number is shown; `general`, its text without a format, if the code is not one of numbers."""
    sections = _sections(code)
    if not sections:
        return general
    section, is_absolute = _section_for(value, sections)
    if section is None or not abs(value) < _MAX_NUMBER:
        return general
    number = Decimal(f"{value:.{_DIGITS}g}")
    sign = "-" if number < 0 and not is_absolute else ""
    text = _written(abs(number), section, general=general.lstrip("-"))
    if sign and not _NOT_ZERO.search(text):
        sign = ""  # -0.001 is shown as 0.00
    return f"{sign}{text}".strip()


def _section_for(value: float, sections: Sequence[_Section]) -> tuple[_Section | None, bool]:
    """Return the section that a number is shown by, and whether it contains the sign itself."""
    if any(section.condition for section in sections):
        for section in sections:
            if not section.condition or _holds(value, section.condition):
                return section, section.condition == "<0"
        return None, False
    if len(sections) == 1 or value > 0:
        return sections[0], False
    if value < 0:
        return sections[1], True
    return sections[2 if len(sections) > 2 else 0], False


def _holds(value: float, condition: str) -> bool:
    match = _CONDITION.fullmatch(condition)
    try:
        limit = float(match[2]) if match else 0.0
    except ValueError:
        return False
    operator = match[1] if match else ""
    return {
        "<": value < limit, ">": value > limit, "=": value == limit, "<=": value <= limit, ">=": value >= limit,
        "<>": value != limit,
    }.get(operator, False)  # fmt: skip


def _written(number: Decimal, section: _Section, *, general: str) -> str:
    if section.plain:
        return section.plain.text(number.scaleb(section.scale, _ARITHMETIC) if section.scale else number)
    if section.is_general or not section.has_digits:
        return "".join(general if kind == "general" else text for kind, text in section.items)
    point = len(section.items) if section.point is None else section.point
    whole_places = [place for place, (kind, _) in enumerate(section.items[:point]) if kind == "digit"]
    decimal_places = [place for place, (kind, _) in enumerate(section.items) if kind == "digit" and place >= point]
    exponent = ""
    number = number.scaleb(section.scale, _ARITHMETIC)
    step = Decimal(1).scaleb(-len(decimal_places))
    if section.exponent:
        number, power = _scientific(number, max(1, len(whole_places)), step)
        sign = "-" if power < 0 else "+" if section.exponent[1] == "+" else ""
        exponent = f"E{sign}{abs(power):0{len(section.exponent) - 2}d}"
    number = number.quantize(step, rounding=ROUND_HALF_UP, context=_ARITHMETIC)
    whole, _, decimals = f"{number:f}".partition(".")
    shown = dict(zip(decimal_places, decimals, strict=True))
    for place in reversed(decimal_places):
        if section.items[place][1] == "0" or shown[place] != "0":
            break
        shown[place] = ""
    shown |= _whole_digits(whole, [(place, section.items[place][1]) for place in whole_places])
    if section.has_groups:
        shown |= _grouped(shown, whole_places)
    return "".join(_pieces(section, shown, point, has_decimals=any(map(shown.get, decimal_places)))) + exponent


def _scientific(number: Decimal, width: int, step: Decimal) -> tuple[Decimal, int]:
    """Return the mantissa, with up to `width` digits before the point, and the power of ten, a multiple of `width`."""
    power = number.adjusted() // width * width if number else 0
    scaled = number.scaleb(-power, _ARITHMETIC)
    if scaled.quantize(step, rounding=ROUND_HALF_UP, context=_ARITHMETIC).adjusted() >= width:  # 9.99 becomes 10.0
        return scaled.scaleb(-width, _ARITHMETIC), power + width
    return scaled, power


def _pieces(section: _Section, shown: dict[int, str], point: int, *, has_decimals: bool) -> Iterator[str]:
    for place, (kind, text) in enumerate(section.items):
        if place == point and has_decimals:
            yield "."
        yield shown.get(place, "") if kind == "digit" else text


def _whole_digits(whole: str, places: Sequence[tuple[int, str]]) -> dict[int, str]:
    """Return the digit of each place before the point, from the right; the first place has all that are left."""
    digits = whole.lstrip("0")
    shown = {}
    for place, kind in reversed(places):
        shown[place] = digits[-1:] or ("0" if kind == "0" else "")
        digits = digits[:-1]
    if places:
        first = places[0][0]
        shown[first] = digits + shown[first]
    return shown


def _grouped(shown: dict[int, str], places: Sequence[int]) -> dict[int, str]:
    """Return the digits before the point with a comma before each group of three."""
    grouped, count = {}, 0
    for place in reversed(places):
        text = ""
        for digit in reversed(shown[place]):
            text = f"{digit}{',' if count and count % 3 == 0 else ''}{text}"
            count += 1
        grouped[place] = text
    return grouped


@lru_cache(maxsize=1000)
def _sections(code: str) -> tuple[_Section, ...]:
    """Return the sections of a code for numbers; none if it is that of a date, a fraction or text."""
    if len(code) > _MAX_CODE_LENGTH or not code or code.lower() == "general":
        return ()
    parts, start = [], 0
    while start <= len(code):
        end = _SECTION_END.match(code, start)
        parts.append(code[start : end.end()] if end else "")
        start += len(parts[-1]) + 1
    sections = [_section(part) for part in parts[:3]]  # the fourth is for text
    known = tuple(section for section in sections if section is not None)
    return known if len(known) == len(sections) else ()


def _section(code: str) -> _Section | None:
    """Parse one section; None if it has something else than numbers."""
    items: list[tuple[str, str]] = []
    point: int | None = None
    scale, exponent, condition = 0, "", ""
    has_groups, commas = False, 0
    for token in _TOKEN.finditer(code):
        kind, text = token.lastgroup, token[token.lastgroup] if token.lastgroup else ""
        if kind in {"quoted", "escaped", "currency"}:
            items.append(("text", text))
        elif kind == "condition":
            condition = text
        elif kind == "other" and not _COLOUR.fullmatch(text):
            return None
        elif kind == "exponent":
            exponent = text
        elif kind == "general":
            items.append(("general", ""))
        elif kind == "plain" and text in "0#?":
            has_groups, commas = has_groups or (commas > 0 and point is None), 0
            items.append(("digit", text))
        elif text == "." and point is None:
            point = len(items)
        elif text == ",":
            commas += 1 if any(item == "digit" for item, _ in items) else 0
        elif text == "%":
            scale += 2
            items.append(("text", "%"))
        elif kind == "plain":
            if text in _DATE_LETTERS or text in "/@":
                return None
            items.append(("text", text))
        scale, commas = (scale - 3 * commas, 0) if commas and _ends_number(code, token.end()) else (scale, commas)
    decimals = sum(kind == "digit" for kind, _ in items[point:]) if point is not None else 0
    if decimals > _MAX_DECIMALS:
        return None
    is_general = any(kind == "general" for kind, _ in items)
    plain = None if exponent or is_general else _Plain.of(items, point=point, has_groups=has_groups)
    return _Section(tuple(items), point, scale, has_groups, exponent, is_general, condition, plain)


def _ends_number(code: str, position: int) -> bool:
    """Return whether no digit and no comma follows at once: commas before it divide by a thousand each."""
    return not re.match(r"[0#?,]", code[position : position + 1] or " ")
