"""Markdown as HTML: its blocks and inline marks, the mark of a sentence in it, parts of it, and hostile text."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from seen_html import HOSTILE, Seen, visible

from echo_index.app.web.rendering.markdown import write_markdown
from echo_index.app.web.rendering.writer import EVERYTHING, PassageWriter, Span

_TAGS = {
    *("p", "em", "strong", "s", "code", "pre", "a", "span", "br", "hr", "blockquote", "ul", "ol", "li", "mark"),
    *("div", "table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = {"class", "dir", "href", "rel", "target", "tabindex", "role", "aria-label", "scope", "value"}


def rendered(text: str, mark: Span | None = None, *, span: Span = EVERYTHING, **options: str) -> str:
    writer = PassageWriter(span=span, mark=mark)
    write_markdown(writer, text, **options)  # type: ignore[arg-type]
    return writer.html()


def marked(text: str, words: str) -> str:
    """Return the HTML of a text with some characters of it marked."""
    start = text.index(words)
    return rendered(text, (start, start + len(words)))


def marked_texts(html: str) -> str:
    """Return what is marked, the marks divided by bars."""
    return "|".join(Seen(part).text for part in re.findall(r"<mark>(.*?)</mark>", html, re.DOTALL))


def is_balanced(html: str) -> bool:
    """Return whether every element ends where it must."""
    opened: list[str] = []
    for closing, tag in re.findall(r"<(/?)(\w+)[^>]*>", html):
        if closing and (not opened or opened.pop() != tag):
            return False
        if not closing and tag not in ("br", "hr"):
            opened.append(tag)
    return not opened


def without_marks(html: str) -> str:
    return re.sub(r"</?mark>", "", html)


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("# A *title*", '<p class="heading level-1">A <em>title</em></p>'),
        ("Title\n---", '<p class="heading level-2">Title</p>'),
        ("**b** ~~s~~ `c`", '<p><strong>b</strong> <s>s</s> <code dir="auto">c</code></p>'),
        ("one\ntwo  \nthree", "<p>one two<br>three</p>"),
        ("- a\n- b\n  - c", '<ul dir="auto"><li>a</li><li>b<ul dir="auto"><li>c</li></ul></li></ul>'),
        ("3. a\n4. b", '<ol dir="auto"><li value="3">a</li><li value="4">b</li></ol>'),
        ("- a\n\n- b", '<ul dir="auto"><li><p>a</p></li><li><p>b</p></li></ul>'),
        ("> quote", '<blockquote dir="auto"><p>quote</p></blockquote>'),
        ("a\n\n---\n\nb", "<p>a</p><hr><p>b</p>"),
        ("    code\n      more", '<pre class="code" dir="ltr" tabindex="0">code\n  more</pre>'),
        ("```\na < b\n```", '<pre class="code" dir="ltr" tabindex="0">a &lt; b</pre>'),
        ("~~~\nnever ended", '<pre class="code" dir="ltr" tabindex="0">never ended</pre>'),
        ("![a *picture*](http://x.example/y.png)", '<p><span class="image">a picture</span></p>'),
        ("\\*no emphasis\\*", "<p>*no emphasis*</p>"),
        ("&lt; stays", "<p>&amp;lt; stays</p>"),
        ("[a page](other.md) and [a part](#part)", "<p>a page and a part</p>"),
    ],
)
def test_blocks_and_inline_marks(text: str, html: str) -> None:
    assert rendered(text) == html


def test_a_table_has_its_header_cells_and_alignment() -> None:
    html = rendered("| Name | Size |\n|:--|--:|\n| `a\\|b` | 3 |\n| *c* | |")
    assert html == (
        '<div class="table" tabindex="0" role="group" aria-label="Table"><table dir="auto"><thead>'
        '<tr><th class="left" scope="col">Name</th><th class="right" scope="col">Size</th></tr></thead><tbody>'
        '<tr><td class="left"><code dir="auto">a|b</code></td><td class="right">3</td></tr>'
        '<tr><td class="left"><em>c</em></td><td class="right"></td></tr></tbody></table></div>'
    )


def test_links_lead_to_pages_and_mailboxes_only() -> None:
    text = (
        "[a](https://x.example/?a=1&b=2) <http://y.example> <me@z.example> [d][ref]\n\n[ref]: HTTP://w.example 'title'"
    )
    links = [found for found in Seen(rendered(text)).attributes if "href" in found]
    assert [link["href"] for link in links] == [
        "https://x.example/?a=1&b=2",
        "http://y.example",
        "mailto:me@z.example",
        "HTTP://w.example",
    ]
    assert {(link["rel"], link["target"]) for link in links} == {("noopener noreferrer nofollow", "_blank")}


def test_a_link_that_is_defined_elsewhere_is_its_text() -> None:
    assert rendered("See [the list][all versions] and [others][].") == "<p>See the list and others.</p>"
    assert rendered("an array[1] and [2] [note]") == "<p>an array[1] and [2] [note]</p>"


@pytest.mark.parametrize(
    "text",
    [
        "[this](javascript:alert(1)) **bold**",
        "[that](data:text/html,x)",
        "[ftp](ftp://x.example)",
        "[file](file:///etc/passwd)",
        "![p](http://evil.example/p.png) <script>x</script>",
        "<iframe src=http://evil.example/></iframe> [a](http://evil.example)",
        "<b onclick=x()> [a](http://evil.example) *b*",
        "<style>*{}</style> `code`",
    ],
)
def test_a_paragraph_with_something_active_is_shown_as_it_is_written(text: str) -> None:
    seen = Seen(rendered(f"Before *it*.\n\n{text}\n\nAfter [it](http://x.example)."))
    assert seen.text == f"Before it.{text}After it."
    assert seen.tags == ["p", "em", "p", "p", "a"]


def test_code_about_scripts_is_code() -> None:
    assert rendered("Write `<script>` here.") == '<p>Write <code dir="auto">&lt;script&gt;</code> here.</p>'


@pytest.mark.parametrize("text", HOSTILE)
def test_html_is_text(text: str) -> None:
    for template in (
        "{}",
        "# {}",
        "- {}",
        "> {}",
        "| {} |\n|---|\n| {} |",
        "```\n{}\n```",
        "```{}\nx\n```",
        "`{}`",
        "**{}**",
    ):
        seen = Seen(rendered(template.format(text, text)))
        assert {*seen.tags} <= _TAGS
        assert visible(text) in visible(seen.text) or template == "```{}\nx\n```"


def test_fenced_code_has_colours_for_its_language() -> None:
    html = rendered("```python\ndef add(a):\n    return a + 1  # one\n```")
    assert '<span class="k">def</span> <span class="f">add</span>(a)' in html
    assert '<span class="c"># one</span>' in html
    assert "span" not in rendered("```unheard\ndef add(a)\n```")


def test_front_matter_is_code() -> None:
    html = rendered("---\ntitle: A page\n---\n\n# Heading\n")
    assert Seen(html).tags[0] == "pre" and Seen(html).text == "title: A pageHeading"
    assert Seen(rendered("---\ntitle: it was cut")).tags[0] == "pre"
    assert rendered("---\n\ntext") == "<hr><p>text</p>"
    assert rendered("---\ntitle: x\n---", start=5).startswith("<hr>")  # type: ignore[arg-type]


def test_headings_are_announced_on_request() -> None:
    html = rendered("# One\n\n##### Five", heading_level=3)  # type: ignore[arg-type]
    assert [(found.get("role"), found.get("aria-level")) for found in Seen(html).attributes] == [
        ("heading", "3"),
        ("heading", "6"),
    ]


# The mark


def test_a_sentence_is_marked_across_inline_marks() -> None:
    html = marked("The *big* [ferry](http://x.example) `leaves` at noon.", "big* [ferry](http://x.example) `leaves` at")
    assert marked_texts(html) == "big| |ferry| |leaves| at"
    assert "<mark>ferry</mark></a>" in html and "</mark> noon" in html


def test_a_sentence_is_marked_across_blocks() -> None:
    html = marked("# One two\n\n- three\n- four *five*\n\n> six\n> seven", "two\n\n- three\n- four *five*\n\n> six")
    assert marked_texts(html) == "two|three|four |five|six"
    html = marked("| a | b |\n|--|--|\n| c \\| d | e |\n| f | g |", "b |\n|--|--|\n| c \\| d | e |\n| f")
    assert marked_texts(html) == "b|c | d|e|f"


def test_a_sentence_is_marked_in_code_and_in_lists_with_tabs() -> None:
    html = marked("```py\nx = 1\ny = 2\nz = 3\n```", "1\ny = 2\nz")
    assert Seen("".join(re.findall(r"<mark>(.*?)</mark>", html, re.DOTALL))).text == "1\ny = 2\nz"
    assert marked_texts(marked("-\tone\n\n\t\tx = 1\n\n\ttwo", "x = 1\n\n\ttwo")) == "x = 1|two"
    assert marked_texts(marked("1. a\n   b\n   c", "b\n   c")) == "b c"


@dataclass(frozen=True)
class Marked:
    """A document, its words in order, and a span of characters from the start of one word to the end of another."""

    text: str
    words: list[str]
    first: int
    last: int

    @property
    def span(self) -> Span:
        return self.text.index(self.words[self.first]), self.text.index(self.words[self.last]) + len(self.words[0])


_INLINE = (
    *("{}", "*{}*", "**{}**", "_{}_", "~~{}~~", "`{}`", "``{}`` ", "\\*{}", "*{}", "{}**", "[{}](http://x.example)"),
    *("[{}](<a b> 'c')", "![{}](y.png)", "[{}][r]", "[{}]", "{}\\\n", "{}  \n", "{}\n", '"{}"', "({})", "&amp;{}"),
    *("<b>{}", "<{}>", "{}_", "__{}", "***{}***", "[*{}*](#x)", "{}|", "{}\\|", "\\{}", "`{}", "~{}", "!{}", "é{}😀"),
)
_BLOCKS = (
    *("{}\n\n", "# {}\n\n", "## {} ##\n", "{}\n===\n", "- {}\n", "* {}\n\n", "  - {}\n", "1. {}\n", "10) {}\n\n"),
    *("> {}\n", "> - {}\n", "    {}\n", "\t{}\n", "```\n{}\n```\n", "~~~ python\n{}\n~~~\n\n", "---\n", "\n", "{}\n"),
    *("- ```\n  {}\n  ```\n", "-\t{}\n", "[r]: http://y.example\n", "* * *\n", "{}\n---\n"),
    *("| {} | {} |\n|---|:-:|\n| {} | {} |\n\n", "{} | {}\n--|--\n{} | {}\n\n", "> | {} |\n> |--|\n> | {} |\n\n"),
)


@st.composite
def documents(draw: st.DrawFn) -> Marked:
    """Return documents of all kinds of blocks and inline marks, in which every word occurs once."""
    count = 0

    def content(_: re.Match[str]) -> str:
        nonlocal count
        pieces = []
        for pattern in draw(st.lists(st.sampled_from(_INLINE), min_size=1, max_size=4)):
            pieces.append(pattern.replace("{}", f"w{count:03}"))
            count += 1
        return " ".join(pieces).replace("\n", draw(st.sampled_from(("", " "))))

    blocks = draw(st.lists(st.sampled_from(_BLOCKS), min_size=1, max_size=6))
    text = "".join(re.sub(r"\{\}", content, block) for block in blocks)
    words = re.findall(r"w\d{3}", text)
    if not words:
        text, words = "w000", ["w000"]
    first = draw(st.integers(0, len(words) - 1))
    return Marked(text, words, first, draw(st.integers(first, len(words) - 1)))


def words_of(html: str) -> list[str]:
    return re.findall(r"w\d{3}", Seen(html).text)


@given(documents())
@settings(max_examples=400, deadline=None)
@example(Marked("| *w000* | w001\\| |\n|--|--|\n| w002 | `w003` |", ["w000", "w001", "w002", "w003"], 1, 3))
@example(Marked('a*"w000"* w001', ["w000", "w001"], 0, 0))
def test_exactly_the_words_of_the_sentence_are_marked(document: Marked) -> None:
    html = rendered(document.text, document.span)
    shown = words_of(html)
    inside = [word for part in re.findall(r"<mark>(.*?)</mark>", html, re.DOTALL) for word in words_of(part)]
    assert inside == [word for word in document.words[document.first : document.last + 1] if word in shown]


@given(documents())
@settings(max_examples=200, deadline=None)
def test_a_mark_changes_nothing_else(document: Marked) -> None:
    assert without_marks(rendered(document.text, document.span)) == rendered(document.text)


@given(
    st.text(st.sampled_from(list("*_`~[]()!|\\/:<>#-+=.&\"' \n\tab0灯\ue000\uf8ff\x00\u202e")), max_size=60), st.data()
)
@settings(max_examples=400, deadline=None)
def test_a_mark_anywhere_in_any_text_changes_nothing_else(text: str, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(text)))
    last = data.draw(st.integers(first, len(text)))
    html = rendered(text, (first, last))
    assert without_marks(html) == rendered(text)
    seen = Seen(html)
    assert is_balanced(html) and {*seen.tags} <= _TAGS
    assert {name for found in seen.attributes for name in found} <= _ATTRIBUTES
    assert not [tag for tag in re.findall(r"<mark>(.*?)</mark>", html, re.DOTALL) if "<" in tag], "marks hold text only"


@given(documents())
@settings(max_examples=200, deadline=None)
def test_a_part_of_a_document_is_what_stands_in_it(document: Marked) -> None:
    part, whole = rendered(document.text, span=document.span), rendered(document.text)
    expected = [word for word in document.words[document.first : document.last + 1] if word in words_of(whole)]
    rows = "<tr>" in whole  # the rows of a table are shown whole, and below its header
    assert words_of(part) == expected or (rows and {*words_of(part)} >= {*expected})
    assert is_balanced(part)


def test_elements_without_text_in_the_part_are_left_out() -> None:
    text = "# One\n\n- two\n- three\n\n| a |\n|--|\n| four |\n| five |\n\nsix"
    span = (text.index("three"), text.index("three") + 5)
    assert rendered(text, span=span) == '<ul dir="auto"><li>three</li></ul>'
    span = (text.index("five"), text.index("five") + 4)
    assert re.findall(r"\w+", re.sub(r"<[^>]*>", " ", rendered(text, span=span))) == ["a", "five"]


# Hostile input


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "[",
            "![",
            "*a ",
            "**a",
            "_a*_",
            "](",
            "[]",
            "[a](",
            "[a][",
            "[a](<",
            '[x](y "',
            "`a",
            "``a`",
            "<",
            "<a:",
            "\\",
        ),
        *(
            "~~a",
            "> ",
            "- ",
            "-\n",
            "1. ",
            "[a]: ",
            "[a]: b\n",
            "|a",
            "```\n",
            "> - ",
            "a\n",
            "\n",
            "# ",
            "a\n=\n",
            "\t",
        ),
        *(
            "<b on",
            "&amp;",
            "(",
            "- a\n  ",
            "  - a\n",
            "|--",
            "|-\n",
            "|a\n|-\n",
            "-|",
            "* * *\n",
            "~~~\n",
            "[^a]: ",
            "\ue000",
        ),
    ],
)
def test_long_hostile_text_is_rendered(unit: str) -> None:
    text = (unit * 80_000)[:80_000]
    html = rendered(text)  # in less than a second; what grows with the square would take minutes
    assert is_balanced(html) and {*Seen(html).tags} <= _TAGS


def test_tables_with_very_many_cells_are_shown_as_they_are_written() -> None:
    def table(columns: int, rows: int) -> str:
        return "|a" * columns + "\n" + "|-" * columns + "\n" + "|b\n" * rows

    text = table(100, 300)
    assert Seen(rendered(text)).tags == ["p"] and Seen(rendered(text)).text == text
    assert Seen(rendered(table(20, 300))).tags.count("td") == 6_000
