"""Classes and functions of source code are headings, and the text stays that of the file."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.formats import FORMATS, parse_document
from echo_index.indexer.documents.readers.source_code import syntax
from echo_index.indexer.documents.readers.source_code.copied_process import run_in_copy
from echo_index.indexer.documents.readers.source_code.languages import LANGUAGES


def read(source: str, suffix: str) -> Document:
    return parse_document(source.encode(), Path(f"a{suffix}"))


def outline(source: str, suffix: str) -> str:
    """Return the headings of a file, each with its level: "1 class A, 2 method f"."""
    return ", ".join(f"{each.level} {each.title}" for each in read(source, suffix).headings)


JAVASCRIPT = """// A licence.

import x from 'é'; // not of the class
/**
 * Reads headers.
 */
export default class Parser extends Base {
  // Parses one.
  parse(text) {
    const inside = () => {
      return 1;
    };
    return inside;
  }

  static size = 1;
  static name = 2;
  static depth = 3;
  static width = 4;

  end = async () => {
  };
}
export const join = (a, b) =>
  a + b;
exports.split = function () {
};
const short = () => 1, options = {
  merge: function () {
  },
};
app.use(one);
app.use(two);
app.use(three);
app.use(four);
describe("Parser", () => {
  it("parses", function () {
  });
});
"""


def test_definitions_begin_with_the_comments_above_them_and_the_text_is_the_file() -> None:
    document = read(JAVASCRIPT, ".js")
    assert [(each.level, each.title, document.line(each.offset)) for each in document.headings] == [
        *((1, "class Parser", 4), (2, "method parse", 8), (3, "function inside", 10)),
        *((1, "class Parser", 16), (2, "method end", 21), (1, "function join", 24), (1, "function exports.split", 26)),
        *((1, "function merge", 29), (1, "top level", 32), (1, "test Parser", 36), (2, "test parses", 37)),
    ]
    assert document.heading_path(JAVASCRIPT.index("return 1")) == ("class Parser", "method parse", "function inside")
    assert (document.text, document.has_lines, document.format) == (JAVASCRIPT, True, "code")
    assert all(each.offset == 0 or JAVASCRIPT[each.offset - 1] == "\n" for each in document.headings)


SAMPLES = {
    ".sh": ("f() {\n echo\n}\nfunction g {\n echo\n}\n", "1 function f, 1 function g"),
    ".c": (
        "static int\nf(int x) {\n}\nchar *g(void) {\n}\nint declared(void);\nstruct S {\n int x; };\n"
        "typedef struct {\n int x;\n} T;\n#define ONE 1\n#define M(x) \\\n x\n",
        "1 function f, 1 function g, 1 struct S, 1 typedef T, 1 macro M",
    ),
    ".cmake": ("function(f x)\nendfunction()\nmacro(m)\nendmacro()\n", "1 function f, 1 macro m"),
    ".cpp": (
        "namespace n {\n// c\ntemplate <typename T>\nclass A : B {\n A() {\n }\n ~A() {\n }\n int& f() {\n }\n};\n}\n"
        "int A<T>::g() {\n}\n",
        "1 namespace n, 2 class A, 3 function A, 3 function ~A, 3 function f, 1 function A<T>::g",
    ),
    ".cs": (
        "namespace N {\n class A {\n  public A() {\n  }\n  int F(int x) {\n  }\n  int P {\n  get; }\n }\n}\n",
        "1 namespace N, 2 class A, 3 constructor A, 3 method F, 3 property P",
    ),
    ".dart": (
        "class A {\n int f(int x) {\n }\n A.named() {\n }\n}\nvoid g() {\n}\nmixin M {\n}\n",
        "1 class A, 2 method f, 2 method named, 1 function g, 1 mixin M",
    ),
    ".el": ("(defun f (x)\n x)\n", "1 defun f"),
    ".ex": (
        'defmodule A.B do\n  @doc "x"\n  def f(0), do: 1\n  def f(x) when x > 1 do\n  end\n  defp g do\n  end\nend\n',
        "1 defmodule A.B, 2 def f, 2 defp g",
    ),
    ".erl": ("foo(0) ->\n 1;\nfoo(Y) ->\n Y.\nbar() -> 1.\n", "1 function foo, 1 function bar"),
    ".go": (
        "package a\nfunc F() {\n}\nfunc (s *Server) Run() {\n}\ntype S struct {\n x int }\n",
        "1 func F, 1 func (s *Server) Run, 1 type S",
    ),
    ".graphql": ("type A {\n x: Int\n}\nquery Q {\n a }\n", "1 type A, 1 query Q"),
    ".hs": (
        "-- | doc\nfoo :: Int -> Int\nfoo 0 = 1\nfoo x = 2\ndata A = B\n  | C\ninstance Show A where\n  show _ = 1\n",
        "1 function foo, 1 data A, 1 instance Show A",
    ),
    ".tf": ('resource "aws_x" "y" {\n a = 1\n}\nlocals {\n}\n', '1 resource "aws_x" "y", 1 locals'),
    ".java": (
        "/** d */\npublic class A {\n @Override\n public int f(int x) {\n }\n A() {\n }\n enum E {\n B }\n}\n",
        "1 class A, 2 method f, 2 constructor A, 2 enum E",
    ),
    ".jl": ("module M\nfunction f(x)::Int\n x\nend\nstruct S\n x\nend\nend\n", "1 module M, 2 function f, 2 struct S"),
    ".kt": (
        "class A : B() {\n fun f(x: Int): Int {\n }\n companion object {\n }\n}\ninterface I {\n}\n",
        "1 class A, 2 fun f, 2 companion object, 1 interface I",
    ),
    ".lua": ("function M.f(x)\nend\nM.g = function()\nend\n", "1 function M.f, 1 function M.g"),
    ".m": ("@implementation A\n- (void)f:(int)x {\n}\n@end\n", "1 implementation A, 2 method f"),
    ".ml": ("module M = struct\n let f x = x\n type t =\n  A\nend\n", "1 module M, 2 let f, 2 type t"),
    ".pl": ("package A;\nsub f {\n 1;\n}\n", "1 sub f"),
    ".php": ("<?php\nclass A {\n public function f() {\n }\n}\n", "1 class A, 2 function f"),
    ".ps1": ("function Get-A {\n param($x)\n}\n", "1 function Get-A"),
    ".proto": ("message A {\n}\nservice S {\n rpc F (A) returns (A) {\n }\n}\n", "1 message A, 1 service S, 2 rpc F"),
    ".r": ("f <- function(x) {\n x\n}\n", "1 function f"),
    ".rb": ("class A < B\n def f(x)\n end\n def self.g\n end\nend\n", "1 class A, 2 def f, 2 def self.g"),
    ".rs": (
        "#[x]\nstruct S<T> {\n x: T }\nimpl<T> Display for S<T> {\n fn f() {\n }\n}\nimpl S {\n}\ntrait T {\n}\n",
        "1 struct S, 1 impl Display for S<T>, 2 fn f, 1 impl S, 1 trait T",
    ),
    ".scala": ("class A {\n def f(x: Int) = {\n }\n}\nobject O {\n}\n", "1 class A, 2 def f, 1 object O"),
    ".sql": (
        "CREATE TABLE a.b (\n id int\n);\n"
        "CREATE FUNCTION f() RETURNS int AS $$\nBEGIN\nRETURN 1;\nEND;\n$$ LANGUAGE sql;\n",
        "1 table a.b, 1 function f",
    ),
    ".swift": (
        "struct S: P {\n init() {\n }\n func f(x: Int) {\n }\n}\nextension S {\n}\n",
        "1 struct S, 2 init, 2 func f, 1 extension S",
    ),
    ".tsx": ("export function F() {\n return <b>x</b>;\n}\n", "1 function F"),
    ".ts": (
        "export interface I {\n x: number }\n@dec()\nexport abstract class A<T> {\n @d\n f(x: number): void {\n }\n}\n",
        "1 interface I, 1 class A, 2 method f",
    ),
}  # fmt: skip
SAMPLES[".cu"] = SAMPLES[".cpp"]
SAMPLES[".js"] = ("class A {\n f() {\n }\n}\n", "1 class A, 2 method f")


def test_each_language_has_a_sample_and_its_suffixes() -> None:
    samples = {name: [s for s in language.suffixes.split() if s in SAMPLES] for name, language in LANGUAGES.items()}
    assert [name for name, suffixes in samples.items() if not suffixes] == []
    assert {FORMATS[suffix] for language in LANGUAGES.values() for suffix in language.suffixes.split()} == {"code"}


@pytest.mark.parametrize("suffix", SAMPLES)
def test_the_definitions_of_each_language_are_headings(suffix: str) -> None:
    source, expected = SAMPLES[suffix]
    assert outline(source, suffix) == expected
    if suffix in (".cpp", ".rs", ".ex", ".hs", ".ts"):
        lead = {".cpp": "// c", ".rs": "#[", ".ex": "  @doc", ".hs": "-- |", ".ts": "@dec"}[suffix]
        assert source.index(lead) in [each.offset for each in read(source, suffix).headings]


def test_what_is_recognized_in_broken_code_counts() -> None:
    assert "1 function good" in outline("function good() {\n}\n)) ]] = else\nfunction after() {\n}\n", ".js")
    assert outline("no code at all, \x01 only words\n", ".java") == ""


def test_headings_of_broken_code_are_in_order() -> None:
    cut = "s A<T> {\n  /** b */\n  f(x: number) {\n    return `${x}`;\n  }"
    source = f"// a\n@dec\nexport class A<T> {cut[7:]}{cut}{cut}\n}}\nconst g = () => {{\n}};\n" + ";\n" * 15
    offsets = [heading.offset for heading in read(source, ".ts").headings]
    assert len(offsets) > 4
    assert offsets == sorted(offsets)


def test_very_short_methods_and_deep_ones_are_no_headings() -> None:
    short = "class A {\n" + "".join(f" f{n}() {{\n }}\n" for n in range(30)) + "}\n"
    assert outline(short, ".js") == "1 class A"
    deep = "".join(f"function f{n}() {{\n" for n in range(20)) + "}\n" * 20
    assert [each.level for each in read(deep, ".js").headings] == [1, 2, 3, 4, 5, 6]


def test_code_on_long_lines_and_very_long_files_have_no_headings() -> None:
    minified = "function a(){\n" + "b=1;" * 500 + "}\n"
    assert outline(minified, ".js") == ""
    assert outline("function a() {\n}\n" + "// comment\n" * 400_000, ".js") == ""


def test_a_parser_that_takes_too_long_or_crashes_costs_only_the_headings(monkeypatch: pytest.MonkeyPatch) -> None:
    def waste() -> None:
        while True:
            pass

    assert run_in_copy(lambda: [1, "a"], cpu_seconds=1) == [1, "a"]
    for function in (waste, lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: 1 / 0):
        assert run_in_copy(function, cpu_seconds=1) is None
    monkeypatch.setattr(syntax, "run_in_copy", lambda _, **limits: None)
    assert read(JAVASCRIPT, ".js").headings == ()


@pytest.mark.parametrize(
    ("piece", "suffix"),
    [("(\n", ".js"), ("a<\n", ".java"), ("function a() {\n}\n", ".php")],
)
def test_hostile_code_is_read_in_time(piece: str, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syntax, "_MAX_SECONDS", 1)
    assert len(read(piece * (200_000 // len(piece)) + "a", suffix).text) > 100_000
