"""Know what a person sees of a field: its result, or else what its code draws."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from echo_index.indexer.documents.readers.office.symbols import symbol_of_field

_CHECKED, _UNCHECKED = "☒", "☐"
_CHECK_BOX, _LIST = 1, 2
_NOT_CHOSEN = 25  # in place of the number of a choice
_PAGE_NUMBERS = {"PAGE", "NUMPAGES", "SECTIONPAGES"}
_RUBY = re.compile(r"\\s\\up *\d+ *\((?P<reading>[^()\\]{1,200})\) *[,;] *(?P<base>[^()\\]{1,200})\)")


@dataclass(slots=True)
class Field:
    """A field that is open: the pieces of its code, and the settings and entries of a form field."""

    code: list[str] = field(default_factory=list)
    settings: dict[str, int] = field(default_factory=dict)
    entries: list[str] = field(default_factory=list)

    def is_page_number(self) -> bool:
        """Return whether the field shows the number of a page, or how many there are."""
        words = "".join(self.code).split(maxsplit=1)
        return bool(words) and words[0].upper() in _PAGE_NUMBERS

    def drawn(self) -> str:
        r"""Return what a field without a result shows: a box, a choice, a symbol, or a word with its reading (ruby)."""
        kind = self.settings.get("fftype")
        if kind in {_CHECK_BOX, _LIST}:
            chosen = self.settings.get("ffres", _NOT_CHOSEN)
            chosen = self.settings.get("ffdefres", 0) if chosen == _NOT_CHOSEN else chosen
            if kind == _CHECK_BOX:
                return _CHECKED if chosen else _UNCHECKED
            return self.entries[chosen] if 0 <= chosen < len(self.entries) else ""
        code = "".join(self.code)
        ruby = _RUBY.search(code)
        return f"{ruby['base']}({ruby['reading']})" if ruby else symbol_of_field(code)
