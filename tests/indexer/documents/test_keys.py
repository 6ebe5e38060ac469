"""Keys of JSON, YAML and TOML are headings, and the text stays that of the file."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.formats import parse_document


def read(source: str, suffix: str) -> Document:
    return parse_document(source.encode(), Path(f"a{suffix}"))


JSON = """{
  "servers": [
    {
      "host": "x",
      "id": 7,
      "name": "db\\u00f6"
    },
    {
      "port": 1, // of { the second
      "inside": {
        "deep": {
          "deeper": 2
        }
      }
    }
  ],
  "line": {"a": 1},
  "words": [
    "b"
  ],
  "last": {
    "c": "d"
  }
}
"""
YAML = """servers:
  - host: &a x
    id: 7
    name: dbö
  - port: 1
    inside:
      deep:
        deeper: *a
line: {a: 1}
words:
  - b
last:
  c: d
"""
TOML = """[[servers]]
host = "x"
name = "dbö"
[[servers]]
port = [
  [1]
]
text = '''
[none]
'''
[servers.inside.deep.deeper]
e = "["
[last]
c = "d"
"""


@pytest.mark.parametrize(("source", "suffix"), [(JSON, ".json"), (YAML, ".yaml"), (YAML, ".yml")])
def test_the_path_of_keys_is_known_and_the_text_is_the_file(source: str, suffix: str) -> None:
    document = read(source, suffix)
    paths = {word: document.heading_path(source.rindex(word)) for word in ("host", "port", "deeper", "c")}
    assert paths == {
        "host": ("servers", "dbö"),
        "port": ("servers", "servers 2"),
        "deeper": ("servers", "servers 2", "inside"),
        "c": ("last",),
    }
    assert [each.title for each in document.headings] == ["servers", "dbö", "servers 2", "inside", "last"]
    assert (document.text, document.has_lines, document.format) == (source, True, "code")
    assert all(each.offset == 0 or source[each.offset - 1] == "\n" for each in document.headings)


def test_the_headers_of_toml_are_headings() -> None:
    document = read(TOML, ".toml")
    assert [(each.level, each.title) for each in document.headings] == [
        *((1, "servers"), (2, "dbö"), (2, "servers 2"), (2, "inside"), (3, "deep.deeper"), (1, "last")),
    ]
    assert document.heading_path(TOML.index("c =")) == ("last",)
    assert (document.text, document.has_lines, document.format) == (TOML, True, "code")


def test_json_on_one_long_line_is_written_with_line_ends() -> None:
    items = [{"name": f"item {n}", "sizes": [n, 1e5], "empty": {}, "text": 'a "quoted", {brace}'} for n in range(50)]
    document = read(json.dumps({"items": items}, separators=(",", ":")), ".json")
    assert json.loads(document.text) == {"items": items}
    assert max(map(len, document.text.split("\n"))) < 80
    assert not document.has_lines
    assert document.heading_path(document.text.index('"item 7"')) == ("items", "item 7")


def test_levels_with_very_short_sections_are_no_headings() -> None:
    text = "".join(f"part{n}:\n" + "".join(f"  key{k}:\n    a: b\n" for k in range(20)) for n in range(4))
    assert [each.title for each in read(text, ".yaml").headings] == [f"part{n}" for n in range(4)]


def test_a_long_text_in_json_keeps_the_lines() -> None:
    source = json.dumps({"text": "a: b, c " * 1000, "b": {"c": "d"}}, indent=2)
    assert (read(source, ".json").text, read(source, ".json").has_lines) == (source, True)


@pytest.mark.parametrize(
    ("source", "suffix"),
    [
        ("{{ template }}\na:\n  b: 1\n", ".yaml"),
        ('{"a": {\n"b": 1', ".json"),
        ("]]]}}}", ".json"),
        ("[" * 300_000, ".json"),
        ("[" * 300_000, ".yaml"),
        ("- " * 100_000, ".yaml"),
        ('{"a" :' * 300_000, ".json"),
        ('{"a": ' * 300_000, ".json"),
        ('"' * 1_000_001, ".json"),
        ("/*" * 300_000, ".json"),
        ("[a" * 300_000, ".toml"),
        ("[a.]\n" * 100_000, ".toml"),
        ("[a]\n" * 100_000, ".toml"),
        ("a: &a [*a, *a]\n" * 20_000, ".yaml"),
    ],
)  # fmt: skip
def test_broken_and_hostile_files_are_read_as_text_in_time(source: str, suffix: str) -> None:
    start = time.perf_counter()
    document = read(source, suffix)
    assert document.text.strip()
    assert len(document.headings) <= 15_000
    assert time.perf_counter() - start < 20
