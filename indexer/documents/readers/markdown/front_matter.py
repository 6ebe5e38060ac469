"""Find the metadata before the text of a Markdown file: YAML, TOML, JSON or the title block of Pandoc."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_YAML = re.compile(r"---[ \t]*\n(?P<source>(?:[ \t]*\n|#.*\n)*[\w\"'-]+[ \t]*:(?:.*\n)*?)(?:---|\.\.\.)[ \t]*(?:\n|\Z)")
_TOML = re.compile(r"\+\+\+[ \t]*\n(?P<source>(?:.*\n)*?)\+\+\+[ \t]*(?:\n|\Z)")
_JSON_BETWEEN_MARKS = re.compile(r";;;[ \t]*\n(?P<source>(?:.*\n)*?);;;[ \t]*(?:\n|\Z)")
_PANDOC = re.compile(r"%(?P<title>[ \t]+\S.*)\n(?P<more>(?:[ \t]+.*\n)*)(?:%.*\n(?:[ \t]+.*\n)*){0,2}")
_LINE_END = re.compile(r"[ \t]*(?:\n|\Z)")
_MAX_LENGTH = 1 << 16  # characters; the YAML parser is slow


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What stands before the text: the title that it gives, if any, and the offset at which the text begins."""

    title: str = ""
    end: int = 0


def find_front_matter(text: str) -> FrontMatter:
    """Return the front matter of a Markdown file; without title if it is malformed, and empty if there is none."""
    for pattern, read_title in ((_YAML, _yaml_title), (_TOML, _toml_title), (_JSON_BETWEEN_MARKS, _json_title)):
        if match := pattern.match(text):
            title = read_title(match["source"]) if len(match["source"]) <= _MAX_LENGTH else ""
            return FrontMatter(title=" ".join(title.split()), end=match.end())
    if match := _PANDOC.match(text):
        return FrontMatter(title=" ".join((match["title"] + " " + match["more"]).split()), end=match.end())
    return _bare_json(text) if text.startswith("{") else FrontMatter()


def _yaml_title(source: str) -> str:
    import yaml

    try:
        # Composing instead of loading leaves a title such as 2024 a string, and does not expand merged aliases.
        root = yaml.compose(source, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):  # PyYAML raises any of these
        return ""
    entries = root.value if isinstance(root, yaml.MappingNode) else []
    titles = (value.value for key, value in entries if key.value == "title" and isinstance(value, yaml.ScalarNode))
    return str(next(titles, ""))


def _toml_title(source: str) -> str:
    try:
        return _title_in(tomllib.loads(source))
    except (ValueError, RecursionError):
        return ""


def _json_title(source: str) -> str:
    try:
        return _title_in(json.loads(source))
    except (ValueError, RecursionError):
        return ""


def _bare_json(text: str) -> FrontMatter:
    """Return front matter that is a JSON object on the first lines, as Hugo has it."""
    try:
        value, end = json.JSONDecoder().raw_decode(text[:_MAX_LENGTH])
    except (ValueError, RecursionError):
        return FrontMatter()
    line_end = _LINE_END.match(text, end)
    if not value or line_end is None:
        return FrontMatter()
    return FrontMatter(title=" ".join(_title_in(value).split()), end=line_end.end())


def _title_in(value: object) -> str:
    title = value.get("title") if isinstance(value, dict) else None
    return "" if title is None or isinstance(title, dict | list) else str(title)
