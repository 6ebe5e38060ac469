"""Number the items of lists and the headings as a person sees them: "2.", "b)", "1.3"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from echo_index.indexer.documents.readers.number_formats import format_number
from echo_index.indexer.documents.readers.opendocument.styles import Level

_FORMATS = {"1": "decimal", "a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}
_BULLET = "-"


@dataclass(slots=True)
class Counter:
    """The numbers that the levels of a list have reached."""

    _reached: dict[int, int] = field(default_factory=dict)

    def label(self, level: int, levels: Mapping[int, Level], *, start: int | None = None) -> str:
        """Count an item, which may be given its number, and return its label, "" for none."""
        style = levels.get(level)
        first = style.start if style else 1
        self._reached[level] = self._reached.get(level, first - 1) + 1 if start is None else start
        for deeper in [reached for reached in self._reached if reached > level]:
            del self._reached[deeper]
        if style is None:
            return ""
        if style.is_bullet:
            return _BULLET
        if not style.format:
            return ""
        numbers = [
            format_number(self._reached.get(outer, 1), _FORMATS.get(levels[outer].format, "decimal"))
            for outer in range(max(1, level - style.shown_levels + 1), level + 1)
            if outer in levels and levels[outer].format
        ]
        return f"{style.before}{'.'.join(numbers)}{style.behind}".strip()
