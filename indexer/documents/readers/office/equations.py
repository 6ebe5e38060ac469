"""Write equations on one line, as Word's linear format does: (a+b)/2, x^2, √(2a)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.office.markup import child, name, own_text, shown_children, switch, value
from echo_index.indexer.documents.readers.scripts import superscript

if TYPE_CHECKING:
    from lxml.etree import _Element

_ATOM = re.compile(r"[\d.,]+|\w+|.|\(.*\)", re.DOTALL)
_PLAIN_SUBSCRIPT = re.compile(r"\w+")
_CIRCUMFLEX = "\u0302"  # the default accent
_EQUATIONS = ("m:oMath", "m:oMathPara")
_INTEGRAL = "∫"  # the default operator
_OVERLINE, _UNDERLINE = "\u0305", "\u0332"


def linear_equation(element: _Element) -> str:
    """Return the text of an equation, or of an element in one, with a space before an equation right behind another."""
    previous = element.getprevious()
    text = " " if previous is not None and name(element) in _EQUATIONS and name(previous) in _EQUATIONS else ""
    for part in shown_children(element):
        is_apart = name(part) == "m:func" and text[-1:].isalnum()  # a_n cos x is not ancos x
        text += f" {_linear(part)}" if is_apart else _linear(part)
    return text


def _linear(element: _Element) -> str:
    kind = name(element)
    if kind in {"m:t", "w:t"}:
        return own_text(element)
    if kind == "m:f":
        return _fraction(element)
    if kind in {"m:sSub", "m:sSup", "m:sSubSup", "m:sPre"}:
        return _scripts(element, is_before=kind == "m:sPre")
    if kind == "m:rad":
        degree = "" if switch(element, "m:radPr", "m:degHide") else _part(element, "m:deg")
        return f"{degree}√{_grouped(_part(element, 'm:e'))}"
    if kind == "m:nary":
        return _operator(element)
    if kind == "m:d":
        return _delimited(element)
    if kind in {"m:limLow", "m:limUpp"}:
        return f"{_part(element, 'm:e')}{'_' if kind == 'm:limLow' else '^'}({_part(element, 'm:lim')})"
    if kind == "m:func":
        return f"{_part(element, 'm:fName')} {_part(element, 'm:e')}".strip()
    if kind in {"m:m", "m:eqArr"}:
        return _rows(element)
    return _decorated(element, kind)


def _part(element: _Element, step: str) -> str:
    found = child(element, step)
    return linear_equation(found).strip() if found is not None else ""


def _grouped(text: str) -> str:
    return text if _is_atom(text) else f"({text})"


def _is_atom(text: str) -> bool:
    if text.startswith("(") and text.endswith(")"):
        return ")" not in text[1:-1]
    return not text or _ATOM.fullmatch(text) is not None


def _fraction(element: _Element) -> str:
    upper, lower = _part(element, "m:num"), _part(element, "m:den")
    if value(element, "m:fPr", "m:type") == "noBar":  # a binomial coefficient, without its parentheses
        return f"{_grouped(upper)} ¦ {_grouped(lower)}"
    return f"{_grouped(upper)}/{_grouped(lower)}"


def _scripts(element: _Element, *, is_before: bool) -> str:
    base, lower, upper = _part(element, "m:e"), _part(element, "m:sub"), _part(element, "m:sup")
    if child(element, "m:e", "m:f") is not None:
        base = _grouped(base)
    lowered = lower if _PLAIN_SUBSCRIPT.fullmatch(lower) or not lower else f"_({lower})"
    if is_before:  # as in the mass number of an isotope
        return f"{_raised(upper, before='')}{f'_{lower}' if lower else ''} {base}".strip()
    return f"{base}{lowered}{_raised(upper, before=f'{base}{lowered}')}"


def _raised(text: str, *, before: str) -> str:
    return superscript(text, before=before) if text else ""


def _operator(element: _Element) -> str:
    sign = value(element, "m:naryPr", "m:chr") or _INTEGRAL
    lower, upper = _part(element, "m:sub"), _part(element, "m:sup")
    limits = (f"_{_grouped(lower)}" if lower else "") + (f"^{_grouped(upper)}" if upper else "")
    return f"{sign}{limits} {_part(element, 'm:e')}"


def _delimited(element: _Element) -> str:
    begin, end, separator = (_character(element, step) for step in ("m:begChr", "m:endChr", "m:sepChr"))
    inner = [linear_equation(part).strip() for part in element if name(part) == "m:e"]
    return (
        f"{'(' if begin is None else begin}{('|' if separator is None else separator).join(inner)}"
        f"{')' if end is None else end}"
    )


def _character(element: _Element, step: str) -> str | None:
    """Return the sign that a property names: "" for no sign, None if the usual one is meant."""
    properties = child(element, "m:dPr", step)
    return None if properties is None else value(properties.getparent(), step)


def _rows(element: _Element) -> str:
    if name(element) == "m:eqArr":
        rows = [linear_equation(part).strip() for part in element if name(part) == "m:e"]
        return "; ".join(rows).replace("&", "")  # marks where the lines are aligned
    rows = [
        ", ".join(linear_equation(cell).strip() for cell in row if name(cell) == "m:e")
        for row in element
        if name(row) == "m:mr"
    ]
    return f"[{'; '.join(rows)}]"


def _decorated(element: _Element, kind: str) -> str:
    if kind == "m:phant" and switch(element, "m:phantPr", "m:show") is False:
        return ""
    inner = linear_equation(element)
    if kind == "m:acc":
        return f"{inner}{value(element, 'm:accPr', 'm:chr') or _CIRCUMFLEX}"
    if kind == "m:bar":
        return f"{inner}{_OVERLINE if value(element, 'm:barPr', 'm:pos') == 'top' else _UNDERLINE}"
    return inner
