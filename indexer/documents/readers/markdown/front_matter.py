"""Read the metadata before the text of a Markdown file: YAML, TOML, JSON or the title block of Pandoc."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from echo_index.indexer.conditions.tree import number_of
from echo_index.indexer.documents.fields import Field, collect_fields

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    import yaml

_YAML = re.compile(r"---[ \t]*\n(?P<source>(?:[ \t]*\n|#.*\n)*[\w\"'-]+[ \t]*:(?:.*\n)*?)(?:---|\.\.\.)[ \t]*(?:\n|\Z)")
_TOML = re.compile(r"\+\+\+[ \t]*\n(?P<source>(?:.*\n)*?)\+\+\+[ \t]*(?:\n|\Z)")
_JSON_BETWEEN_MARKS = re.compile(r";;;[ \t]*\n(?P<source>(?:.*\n)*?);;;[ \t]*(?:\n|\Z)")
_PANDOC = re.compile(
    r"%(?P<title>[ \t]+\S.*)\n(?P<more>(?:[ \t]+.*\n)*)"
    r"(?:%(?P<authors>.*\n(?:[ \t]+.*\n)*)(?:%(?P<date>.*\n(?:[ \t]+.*\n)*))?)?"
)
_LINE_END = re.compile(r"[ \t]*(?:\n|\Z)")
_MAX_LENGTH = 1 << 16  # characters; the YAML parser is slow
_MAX_NODES = 2_000  # of YAML, where a few aliases can stand for billions
_TITLE = "title"


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What stands before the text: the title that it gives, if any, its fields, and the offset of the text."""

    title: str = ""
    end: int = 0
    fields: tuple[Field, ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, object], *, end: int) -> FrontMatter:
        """Return the front matter with these values."""
        title = values.get(_TITLE)
        shown = "" if title is None or isinstance(title, dict | list) else str(title)
        return cls(" ".join(shown.split()), end, collect_fields(values.items()))


def find_front_matter(text: str) -> FrontMatter:
    """Return the front matter of a Markdown file; without title if it is malformed, and empty if there is none."""
    for pattern, read in ((_YAML, _read_yaml), (_TOML, _read_toml), (_JSON_BETWEEN_MARKS, _read_json)):
        if match := pattern.match(text):
            values = read(match["source"]) if len(match["source"]) <= _MAX_LENGTH else {}
            return FrontMatter.of(values, end=match.end())
    if match := _PANDOC.match(text):
        return FrontMatter.of(
            {
                _TITLE: match["title"] + " " + match["more"],
                "author": re.split(r"[;\n]", (match["authors"] or "").strip()),
                "date": (match["date"] or "").strip(),
            },
            end=match.end(),
        )
    return _bare_json(text) if text.startswith("{") else FrontMatter()


def _read_yaml(source: str) -> dict[str, object]:
    import yaml

    try:
        # Composing instead of loading leaves a title such as 2024 a string, and does not expand merged aliases.
        root = yaml.compose(source, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):  # PyYAML raises any of these
        return {}
    return _YamlValues().mapping(root) if isinstance(root, yaml.MappingNode) else {}


class _YamlValues:
    """Converts the nodes of a YAML document to values, up to a number of nodes."""

    def __init__(self) -> None:
        self._left = _MAX_NODES

    def mapping(self, node: yaml.MappingNode) -> dict[str, object]:
        values: dict[str, object] = {}
        for key, value in node.value:
            if isinstance(key.value, str) and key.value not in values:
                is_title = key.value == _TITLE and not isinstance(value.value, list)
                values[key.value] = value.value if is_title else self._value(value)
        return values

    def _value(self, node: yaml.Node) -> object:
        self._left -= 1
        if self._left < 0:
            return None
        kind = str(node.tag).rpartition(":")[2]
        if kind == "map":
            return self.mapping(cast("yaml.MappingNode", node))
        if isinstance(node.value, list):
            return [self._value(each) for each in node.value] if kind == "seq" else None
        text = str(node.value)
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() in ("true", "yes", "on")
        if kind in ("int", "float") and (number := number_of(text)) is not None:
            return int(text) if kind == "int" else number
        return _yaml_date(node) if kind == "timestamp" else text


def _yaml_date(node: yaml.Node) -> object:
    from yaml.constructor import SafeConstructor

    try:
        return SafeConstructor().construct_yaml_timestamp(cast("yaml.ScalarNode", node))
    except (ValueError, OverflowError):  # there is no such day
        return str(node.value)


def _read_toml(source: str) -> dict[str, object]:
    try:
        return dict(tomllib.loads(source))
    except (ValueError, RecursionError):
        return {}


def _read_json(source: str) -> dict[str, object]:
    try:
        value = json.loads(source)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _bare_json(text: str) -> FrontMatter:
    """Return front matter that is a JSON object on the first lines, as Hugo has it."""
    try:
        value, end = json.JSONDecoder().raw_decode(text[:_MAX_LENGTH])
    except (ValueError, RecursionError):
        return FrontMatter()
    line_end = _LINE_END.match(text, end)
    return FrontMatter.of(value, end=line_end.end()) if value and line_end else FrontMatter()
