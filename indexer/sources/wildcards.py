"""Match paths against the wildcards of git, as its `wildmatch` does, but never in exponential time.

A pattern is cut at its slashes into segments, and each segment at its stars into chunks. Chunks are looked for from
left to right, and so are segments after `**`: the leftmost place is always as good as any other, so nothing is tried
twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r" \t\n\r",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}
"""The named sets of git. They hold only ASCII characters."""


_MAX_ENDS = 8


class WildcardError(ValueError):
    """A pattern ends inside a set or after a backslash, or names an unknown set: git lets it match nothing."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    """What stands between two stars: an expression for `width` characters."""

    expression: re.Pattern[str]
    width: int


@dataclass(frozen=True, slots=True)
class _Segment:
    """A pattern for one name, cut at its stars."""

    chunks: tuple[_Chunk, ...]

    def matches(self, name: str) -> bool:
        """Return whether the whole name matches."""
        first, last = self.chunks[0], self.chunks[-1]
        if len(self.chunks) == 1:
            return len(name) == first.width and first.expression.match(name) is not None
        position, end = first.width, len(name) - last.width
        if position > end or not first.expression.match(name) or not last.expression.match(name, end):
            return False
        for chunk in self.chunks[1:-1]:
            found = chunk.expression.search(name, position, end)
            if not found:
                return False
            position = found.end()
        return True


@dataclass(frozen=True, slots=True)
class Wildcards:
    """A pattern as its segments; None stands for any number of folders.

    Each name that matches ends with one of `ends`, which are ("",) if nothing is known of its end.
    """

    segments: tuple[_Segment | None, ...]
    ends: tuple[str, ...]

    @classmethod
    def parse(cls, pattern: str, *, is_path: bool) -> Wildcards:
        """Parse a pattern. Only in that of a path, `**` between slashes matches any number of folders.

        Raises:
            WildcardError: the pattern matches nothing.
        """
        parser = _Parser(pattern, is_path)
        segments = tuple(parser.segments())
        return cls(segments, ("",) if segments[-1] is None else parser.ends())

    def matches(self, path: str) -> bool:
        """Return whether the whole path matches."""
        segments = self.segments
        if len(segments) == 1 and segments[0]:
            return "/" not in path and segments[0].matches(path)
        names = path.split("/")
        position = index = 0
        retry: tuple[int, int] | None = None  # the segment after the last `**`, and the name to try it at next
        while position < len(names):
            segment = segments[index] if index < len(segments) else _NOTHING
            if segment is None:
                index += 1
                retry = (index, position + 1)
            elif segment.matches(names[position]):
                position, index = position + 1, index + 1
            elif retry is None:
                return False
            else:
                index, position = retry
                retry = (index, position + 1)
        return all(segment is None for segment in segments[index:])


class _Parser:
    """Parse one pattern, from its first character to its last."""

    def __init__(self, pattern: str, is_path: bool) -> None:
        self._pattern = pattern
        self._is_path = is_path
        self._position = 0
        self._chunks: list[list[str]] = [[]]
        self._tail: list[str] = []  # the characters that each item after the last star or slash may be, "" if any

    def ends(self) -> tuple[str, ...]:
        """Return texts with one of which each match of the last segment ends. All segments were taken."""
        ends = [""]
        for characters in reversed(self._tail):
            if not 0 < len(characters) * len(ends) <= _MAX_ENDS:
                break
            ends = [character + end for character in characters for end in ends]
        return tuple(ends)

    def segments(self) -> list[_Segment | None]:
        found: list[_Segment | None] = []
        while character := self._take():
            if character == "*":
                begin = self._position - 1
                self._tail = []
                while self._peek() == "*":
                    self._take()
                if not self._is_any_folders(begin):
                    self._chunks.append([])
                elif not self._peek():
                    return [*found, _ANY_NAME, None]
                elif self._take() == "/":
                    found.append(None)
                else:  # an escaped slash: git wants at least one folder before it
                    self._take()
                    found += [_ANY_NAME, None]
                continue
            if character == "?":
                expression, characters = ".", ""
            elif character == "[":
                expression, characters = self._take_set()
            else:
                characters = self._take_after_backslash() if character == "\\" else character
                expression = re.escape(characters)
            if expression == "/":
                found.append(self._take_segment())
                self._tail = []
            else:
                self._chunks[-1].append(expression)
                self._tail.append(characters)
        return [*found, self._take_segment()]

    def _peek(self, ahead: int = 0) -> str:
        """Return a character that was not taken yet; '' after the end."""
        return self._pattern[self._position + ahead : self._position + ahead + 1]

    def _take(self) -> str:
        self._position += 1
        return self._pattern[self._position - 1 : self._position]

    def _take_after_backslash(self) -> str:
        character = self._take()
        if not character:
            raise WildcardError("It ends with a backslash.")
        return character

    def _take_segment(self) -> _Segment:
        chunks = tuple(_Chunk(re.compile("".join(chunk), re.DOTALL), len(chunk)) for chunk in self._chunks)
        self._chunks = [[]]
        return _Segment(chunks)

    def _is_any_folders(self, begin: int) -> bool:
        """Return whether the stars from `begin` to here are two or more, alone between slashes or ends."""
        if not self._is_path or self._position - begin < 2:
            return False
        stands_first = begin == 0 or self._pattern[begin - 1] == "/"
        return stands_first and (self._peek() in ("", "/") or self._peek() + self._peek(1) == r"\/")

    def _take_set(self) -> tuple[str, str]:
        """Return the expression for a set, and its characters or "" if it has many; its first bracket was taken."""
        negated = self._peek() in ("!", "^")
        if negated:
            self._take()
        items: list[str] = []
        characters, is_large = "", negated
        previous = ""  # the character that a range may begin with
        while True:
            character = self._take()
            if not character:
                raise WildcardError("It ends inside a set.")
            if character == "\\":
                character = self._take_after_backslash()
                items.append(re.escape(character))
                characters += character
            elif character == "-" and previous and self._peek() not in ("", "]"):
                end = self._take()
                end = self._take_after_backslash() if end == "\\" else end
                if previous <= end:
                    items.append(f"{re.escape(previous)}-{re.escape(end)}")
                    is_large = True
                character = ""
            elif character == "[" and self._peek() == ":" and (named := self._take_named_set()):
                items.append(named)
                character, is_large = "", True
            else:
                items.append(re.escape(character))
                characters += character
            previous = character
            if self._peek() == "]":
                self._take()
                return f"[{'^' if negated else ''}{''.join(items)}]", "" if is_large else characters

    def _take_named_set(self) -> str:
        """Return the items of a set such as `[:alpha:]`; '' if the bracket is only a bracket."""
        end = self._pattern.find("]", self._position + 1)
        if end < 0:
            raise WildcardError("It ends inside a set.")
        name = self._pattern[self._position + 1 : end]
        if not name.endswith(":"):
            return ""
        if name[:-1] not in _CLASSES:
            raise WildcardError(f"There is no set [:{name}].")
        self._position = end + 1
        return _CLASSES[name[:-1]]


_EMPTY = _Chunk(re.compile(""), 0)
_ANY_NAME = _Segment((_EMPTY, _EMPTY))
_NOTHING = _Segment((_Chunk(re.compile("(?!)"), 0),))
