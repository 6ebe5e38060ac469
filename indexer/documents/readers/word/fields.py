"""Follow the fields of a text: their results are seen, their codes are not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.office.markup import (
    attribute,
    child,
    descendants,
    name,
    number,
    outermost,
    switch,
    value,
)
from echo_index.indexer.documents.readers.office.symbols import symbol_of_field
from echo_index.indexer.documents.readers.page_numbers import PAGE_NUMBER

if TYPE_CHECKING:
    from lxml.etree import _Element

_CHECKED, _UNCHECKED = "☒", "☐"
_PAGE_NUMBERS = {"PAGE", "NUMPAGES", "SECTIONPAGES"}


@dataclass(slots=True)
class _Field:
    """An open field: its code so far, the form field it is, and whether text in it is hidden, and was shown."""

    form: _Element | None
    code: list[str] = field(default_factory=list)
    hides_text: bool = True
    is_shown: bool = False


class Fields:
    """The fields that are open at a place of a text, innermost last. They may span paragraphs."""

    def __init__(self, story: _Element, *, hides_page_numbers: bool) -> None:
        """Begin before the first paragraph of a text."""
        self._open: list[_Field] = []
        self._hiding = 0
        self._complete = _complete_fields(story)
        self._hides_page_numbers = hides_page_numbers

    def hides_text(self) -> bool:
        """Return whether text at this place is not seen."""
        return self._hiding > 0

    def is_hidden_page_number(self, code: str) -> bool:
        """Return whether a field with this code has the number of a page, and such numbers are hidden."""
        words = code.split(maxsplit=1)
        return self._hides_page_numbers and bool(words) and words[0].upper() in _PAGE_NUMBERS

    def add_code(self, code: str) -> None:
        """Add to the code of the innermost field."""
        if self._open:
            self._open[-1].code.append(code)

    def note_shown(self) -> None:
        """Note that the result of the innermost field has text."""
        if self._open:
            self._open[-1].is_shown = True

    def pass_mark(self, mark: _Element) -> str:
        """Pass the mark of a begin, of the begin of a result, or of an end; return text that is seen in its place."""
        kind = attribute(mark, "w:fldCharType")
        if kind == "begin" and mark in self._complete:
            self._open.append(_Field(form=child(mark, "w:ffData")))
            self._hiding += 1
        elif kind == "separate" and self._open:
            innermost = self._open[-1]
            if innermost.hides_text and not self.is_hidden_page_number("".join(innermost.code)):
                innermost.hides_text = False
                self._hiding -= 1
        elif kind == "end" and self._open:
            return self._ended(self._open.pop())
        return ""

    def _ended(self, ended: _Field) -> str:
        self._hiding -= ended.hides_text
        if self._hiding:
            return ""
        code = "".join(ended.code)
        if self.is_hidden_page_number(code):
            return PAGE_NUMBER
        if ended.is_shown:
            self.note_shown()
            return ""
        return _form_value(ended.form) if ended.form is not None else symbol_of_field(code)


def _complete_fields(story: _Element) -> set[_Element]:
    """Return the begin marks that have an end: without one, a field would hide the rest of the text."""
    waiting: list[_Element] = []
    complete: set[_Element] = set()
    for mark in outermost(story, "w:fldChar"):
        kind = attribute(mark, "w:fldCharType")
        if kind == "begin":
            waiting.append(mark)
        elif kind == "end" and waiting:
            complete.add(waiting.pop())
    return complete


def _form_value(form: _Element) -> str:
    for control in form:
        if name(control) == "w:checkBox":
            checked = switch(control, "w:checked")
            return _CHECKED if (switch(control, "w:default") if checked is None else checked) else _UNCHECKED
        if name(control) == "w:ddList":
            entries = [attribute(entry, "w:val") for entry in descendants(control, "w:listEntry")]
            chosen = number(value(control, "w:result") or value(control, "w:default")) or 0
            return entries[chosen] if chosen < len(entries) else ""
    return ""
