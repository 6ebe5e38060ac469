"""HTML: what a person sees in a browser is read, and what nobody sees is not."""

from __future__ import annotations

import time

import pytest

from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.readers.html.reader import read_html


def read(page: str) -> Document:
    return read_html(page.encode())


def text(page: str) -> str:
    return read(page).text


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("F&ouml;r&shy;der&shy;pro&shy;dukte", "Förderprodukte"),
        ("Wasch&#8203;becken", "Waschbecken"),
        ("Donau<wbr>dampf", "Donaudampf"),
        ("no&#8288;break &#xFEFF;mark &lrm;sign", "nobreak mark sign"),
        ("10&nbsp;000&#8239;km", "10 000 km"),
        ("<pre>a&nbsp;&nbsp;b&shy;c</pre>", "a  bc"),
        ("می&zwnj;خواهم &#x1F469;&zwj;&#x1F33E;", "می\u200cخواهم 👩\u200d🌾"),
        ("ភាសា&#8203;ខ្មែរ", "ភាសា\u200bខ្មែរ"),
        ("<h1>Frei&shy;be&shy;ruf&shy;ler</h1>", "Freiberufler"),
    ],
)
def test_words_are_whole(page: str, expected: str) -> None:
    assert text(page) == expected


@pytest.mark.parametrize(
    "hidden",
    [
        "<p hidden>no</p>",
        "<p hidden=hidden>no</p>",
        "<p style='color: red; DISPLAY : none !important'>no</p>",
        "<p style=visibility:hidden>no</p>",
        "<table><tr style='visibility: collapse'><td>no</td></tr></table>",
        "<template><p>no</p></template>",
        "<noscript><p>no</p></noscript>",
        "<dialog>no</dialog>",
        "<div popover>no</div>",
        "<div class='modal fade' aria-hidden=true>no</div>",
        "<div role=dialog aria-hidden=true>no</div>",
        "<span class='btn sr-only'>no</span>",
        "<span class=visually-hidden>no</span>",
        "<i class=material-icons>no</i>",
        "<a aria-hidden=true href=#x>no</a>",
        "<a class=headerlink href=#x>no</a>",
        "<datalist><option>no</datalist>",
        "<input type=hidden value=no>",
        "<input type=password value=no>",
        "<input type=checkbox value=no>",
        "<input placeholder=no>",
        "<button>no</button>",
        "<progress>no</progress><meter>no</meter>",
        "<video>no<track label=no></video><audio>no</audio><canvas>no</canvas>",
        "<object data=a.pdf>no</object>",
        "<iframe src=a.html>no</iframe>",
        "<svg><title>no</title><desc>no</desc><defs><text>no</text></defs><style>no</style></svg>",
        "<!--[if IE]><p>no</p><![endif]-->",
        "<title>no</title>",
        "<nav>no</nav><search>no</search><div role=search>no</div>",
        "<span class=katex-html aria-hidden=true>no</span>",
        "<abbr title=no></abbr>",
    ],
)
def test_what_nobody_sees_is_not_read(hidden: str) -> None:
    assert "no" not in text(f"<body>seen {hidden}").split()


@pytest.mark.parametrize(
    "seen",
    [
        "<p hidden=until-found>yes</p>",
        "<p style='display: none; display: block'>yes</p>",
        "<p style='--display: none'>yes</p>",
        "<details><summary>More</summary>yes</details>",
        "<dialog open>yes</dialog>",
        "<span aria-hidden=true>yes</span>",
        "<![if !IE]><p>yes</p><![endif]>",
        "<input value=yes>",
        "<input type=email value=yes>",
        "<textarea>yes</textarea>",
        "<select><option>no<option selected>yes</select>",
        "<select multiple><option>one<option>yes</select>",
        "<img src=a.png alt=yes>",
        "<figure><img src=a.png><figcaption>yes</figcaption></figure>",
        "<svg><text x=1>yes</text></svg>",
        "<svg><foreignObject><p>yes</p></foreignObject></svg>",
        "<iframe srcdoc='&lt;p>yes'></iframe>",
        "<object>yes</object>",
        "<del>yes</del>",
        "<h2><button>yes</button></h2>",
        "<xmp>yes</xmp>",
    ],
)
def test_what_a_person_sees_is_read(seen: str) -> None:
    assert "yes" in text(f"<body>before {seen}").split()


def test_a_page_without_anything_else_is_that_for_browsers_without_scripts() -> None:
    assert text("<div id=app></div><noscript><p>All of it.</p></noscript>") == "All of it."


def test_a_hidden_main_element_is_passed_over() -> None:
    assert text("<main hidden>one</main><main>two</main>") == "two"
    assert text("<div hidden><main>one</main></div><p>two") == "two"
    assert text("<body style='display:none'><p>shown by a script") == "shown by a script"


def test_a_header_with_the_title_of_the_page_is_read() -> None:
    document = read("<header><h1>Tides</h1><p>Ada</p></header><p>Text.")
    assert document.text == "Tides\n\nAda\n\nText."
    assert [heading.title for heading in document.headings] == ["Tides"]
    assert text("<header><h1>Site</h1><nav>menu</nav></header><p>Text.") == "Text."


def test_headings_by_role() -> None:
    page = "<div role=heading>Two</div><p role=heading aria-level=4>Four</p><h3 role=heading aria-level=99>Six</h3>x"
    assert [(heading.level, heading.title) for heading in read(page).headings] == [(2, "Two"), (4, "Four"), (6, "Six")]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("3·10<sup>14</sup> H<sub>2</sub>O", "3·10^14 H2O"),
        ("x<sup>n+<b>1</b></sup> and", "x^(n+1) and"),
        ("2<sup>2<sup>n</sup></sup>", "2^(2^n)"),
        ("the 1<sup>st</sup> M<sup>lle</sup>", "the 1st Mlle"),
        ("cat<sup><a href='#fn1'>1</a></sup>.", "cat[1]."),
        ("cat<a href='#fn1'><sup>1</sup></a>.", "cat[1]."),
        ("cat<a href='#fn1' role=doc-noteref>12</a>.", "cat[12]."),
        ("cat<sup class=reference><a href='#c'><span>[</span>3<span>]</span></a></sup>.", "cat[3]."),
        ("cat<sup><a href='a.html#n1'>1</a>,<a href='a.html#n2'>2</a></sup>", "cat[1,2]"),
        ("a <sup>long note that is only set smaller, not a power of anything</sup>", None),
        ("a<sup><p>b</p></sup>", "a\n\nb"),
        ("<h1>E = mc<sup>2</sup></h1>", "E = mc^2"),
        ("<pre>10<sup>6</sup></pre>", "10^6"),
        ("<p>He said <q>no, <q>never</q></q>.", "He said “no, “never””."),
        ("<ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp>字<rt>じ</rt></ruby>だ", "漢字(かんじ)だ"),
        ("<ruby>漢<rt>かん</rt></ruby><ruby>字<rt>じ</rt></ruby>だ", "漢字(かんじ)だ"),
        ("<math><msup><mi>x</mi><mn>2</mn></msup><mo>+</mo><mn>1</mn></math>", "x^2+1"),
        ("<math><mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mi>c</mi></mfrac></math>", "(a+b)/c"),
        ("<math><msqrt><mi>n</mi></msqrt><msub><mi>x</mi><mn>1</mn></msub></math>", "√nx1"),
        ("<math><semantics><mi>x</mi><annotation>\\TeX</annotation></semantics></math>", "x"),
    ],
)
def test_marks_in_a_line(page: str, expected: str | None) -> None:
    assert text(page) == (expected or "a long note that is only set smaller, not a power of anything")


@pytest.mark.parametrize(
    ("attributes", "markers"),
    [
        ("", ["1.", "2.", "3."]),
        ("start=9", ["9.", "10.", "11."]),
        ("reversed", ["3.", "2.", "1."]),
        ("type=a start=26", ["z.", "aa.", "ab."]),
        ("type=I start=3", ["III.", "IV.", "V."]),
        ("start=x", ["1.", "2.", "3."]),
        ("style='list-style: none'", ["-", "-", "-"]),
    ],
)
def test_numbers_of_lists(attributes: str, markers: list[str]) -> None:
    lines = text(f"<ol {attributes}><li>x<li>x<li>x</ol>").split("\n")
    assert [line.split()[0] for line in lines] == markers


def test_numbers_of_lists_in_each_other() -> None:
    page = "<ol><li>a<ol type=i><li>b<li>c</ol><li value=7>d<ul><li>e</ul><li>f</ol>"
    assert text(page) == "1. a\ni. b\nii. c\n7. d\n- e\n8. f"


def test_hostile_pages_are_fast() -> None:
    begun = time.process_time()
    for page in (
        "<a " * 300_000,
        "<sup>" * 400 + "x" * 1_000_000,
        "<math>" + "<msup>" * 400 + "x",
        "<iframe srcdoc='" + "&lt;iframe srcdoc=" * 10_000,
        "<ruby>x<rt>y</rt></ruby>" * 50_000,
        "<ol reversed>" + "<li>x" * 20_000,
        "<main></main>" * 50_000 + "x",
        "<header>" * 500 + "<p>x" * 20_000,
    ):
        read(page)
    assert time.process_time() - begun < 20
