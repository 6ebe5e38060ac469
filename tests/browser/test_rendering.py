"""Passages with tables, lists and code as a visitor sees them, and Markdown that tries to attack the page."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from .conftest import Visit
from .corpus import write
from .driving import open_passage, search
from .looking import STILL, problems
from .serving import Site, command, serving

_GUIDE = """# Guide to the mill

The miller of Aster *grinds* **rye** with `grind --fine`, see [the club](https://mill.example/club)
and [part two](two.md).

| Grain | Hours | Remark for the miller of Aster |
|---|--:|---|
| rye | 3 | the stones of the mill must be cold |
| spelt | 14 | a long remark that makes the table of the mill wider than a telephone is, with_one_very_long_word_in_it |

1. Open the sluice of the mill.
   - slowly
2. Close it.

```python
def grind(grain: str) -> int:
    return len(grain)  # hours, for the mill of Aster, in a line that is much longer than a telephone is wide
```
"""
_HOSTILE = """# Attack on the mill <script>window.__hacked=1</script>

The mill burns: [one](javascript:window.__hacked=1) and **bold**.

The mill burns: [two](https://mill.example/" onmouseover="window.__hacked=1) <https://mill.example/"onclick=window.__hacked=1>

![mill](http://127.0.0.1:9/pixel.png) and ![mill](//127.0.0.1:9/x.png "title") [![mill](http://127.0.0.1:9/y.png)](https://mill.example)

| mill <img src=x onerror=window.__hacked=1> | b |
|---|---|
| `<img src=x onerror=window.__hacked=1>` | [x](data:text/html,<script>window.__hacked=1</script>) |

```html" onclick="window.__hacked=1
</code></pre><img src=x onerror=window.__hacked=1> the mill
```
"""


@pytest.fixture(scope="module")
def mill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a server of two documents in Markdown, one of them hostile, and a page with a table."""
    folder = tmp_path_factory.mktemp("mill")
    page = "<h1>Prices of the mill</h1><table><tr><th>Flour<th>Price</tr><tr><td>rye<td>4</tr></table><ul><li>cash</ul>"
    write(folder / "documents", {"guide.md": _GUIDE, "attack.md": _HOSTILE, "prices.html": page})
    command("build", "documents", "--index", "idx", folder=folder)
    with serving(folder) as running:
        yield running


def test_a_card_and_the_viewer_show_tables_lists_links_and_code(visit: Visit, mill: Site) -> None:
    page = visit(mill)
    search(page, "How does the miller of Aster grind rye?")
    card = page.locator("#results .hit", has=page.locator("table td", has_text="cold")).first
    expect(card.locator("th").first).to_have_text("Grain")
    expect(card.locator("mark").first).to_be_visible()
    panel = open_passage(card)
    for tag in ("em", "strong", "code", "table", "ol li ul li", "pre .k"):
        expect(panel.locator(f".document {tag}").first).to_be_visible()
    link = panel.locator(".document a")
    expect(link).to_have_count(1)
    expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
    expect(panel.get_by_role("heading", name="Guide to the mill", level=3)).to_be_visible()
    flour = search(page, "Price of rye flour").filter(has_text="Flour").first
    expect(flour.locator("td")).to_have_text(["rye", "4"])
    expect(flour.locator("li")).to_have_text("cash")


def test_hostile_markdown_does_nothing(visit: Visit, mill: Site) -> None:
    page = visit(mill)
    search(page, "The mill burns")
    card = page.locator("#results .hit[data-source='documents/attack.md']").first
    expect(card).to_be_visible()
    panel = open_passage(card)
    expect(panel.locator(".document")).to_contain_text("[one](javascript:window.__hacked=1) and **bold**")
    expect(panel.locator(".document pre")).to_contain_text("</code></pre><img src=x")
    for place in (card, panel):
        expect(
            place.locator(".rendered img, .rendered script, .rendered [onclick], .rendered [onmouseover]")
        ).to_have_count(0)
        addresses = place.locator("a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
        assert [address for address in addresses if not re.match("https://mill.example", address)] == []
        for box in place.locator(".rendered mark, .rendered a, .rendered td").all()[:20]:
            box.dispatch_event("mouseover")  # a real pointer would miss what the page scrolls to meanwhile


def test_long_tables_and_lines_scroll_and_have_contrast(visit: Visit, mill: Site) -> None:
    page = visit(mill)
    page.add_style_tag(content=STILL)
    search(page, "grind rye and spelt in the mill of Aster")
    card = page.locator("#results .hit", has=page.locator("table td", has_text="cold")).first
    open_passage(card)
    found = problems(page)
    assert not found, "\n".join(found)
