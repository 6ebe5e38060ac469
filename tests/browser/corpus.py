"""Small document collections: invented facts to find, and documents that try to attack the page."""

from __future__ import annotations

from pathlib import Path

ATTACK = "<img src=x onerror=window.__hacked=1>"  # without a slash, so that it can be a file name
LONG_TITLE = "A very long title " + "of a chronicle that nobody ever shortened " * 12

_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November")

_LOG = "\n\n".join(
    f"## {month}\n\nIn {month} the keepers of Norvik wrote {number + 3} pages into the log. The wind came from the "
    f"north on {number + 9} days, the fog lay over the harbour for {number + 2} mornings, and the horn was sounded "
    f"{40 + 7 * number} times. Two barrels of lamp oil were carried up the stairs, the brass was polished on every "
    f"Saturday, and the boat from the mainland brought flour, letters and a new wick."
    for number, month in enumerate(_MONTHS)
)
_NORVIK = f"""# The lighthouse of Norvik

The lighthouse of Norvik was built in 1874 by the carpenter Edda Holm. It is painted in red and white stripes.

{_LOG}

## The last winter

In the last winter the lamp was broken by a gannet that flew through the glass. The keeper Jorun Vale rowed
eleven miles to fetch a new lens. Since then a copper net protects the lamp.
"""
_BAKERY = """# Bakery

## Bread

The bakery in Tamsel opens at five in the morning. Its rye bread rests for eighteen hours before it is baked.

## Prices

A loaf of rye bread costs four crowns. Children get a bun for free on Fridays.
"""
_GLACIER = """# Glacier

The Orlo glacier loses nine metres of ice every summer. It is measured with steel poles by the geologist Pia Brandt.
"""
_TIDES = '''"""Tide tables for a harbour."""


def hours_until_high_tide(now: float, period: float = 12.42) -> float:
    """Return how many hours are left until the next high tide."""
    return period - now % period


def is_safe_to_land(depth: float, draught: float) -> bool:
    """Tell whether a boat floats free of the ground with half a metre to spare."""
    return depth > draught + 0.5
'''
_KITES = [
    "Kite festival handbook\nThe kite festival of Sarn takes place on the first Sunday of September.",
    "Rules\nNo kite may have a line longer than two hundred metres.\nThe judges wear green hats.",
    "Prizes\nThe winner of the kite festival receives a goat and a barrel of cider.",
]
_ARABIC = """# مكتبة المدينة

تفتح المكتبة أبوابها في الساعة التاسعة صباحا. يمكن استعارة خمسة كتب لمدة ثلاثة أسابيع. مدير المكتبة هو سليم حداد.
"""

# Each hostile document contains its attack and some plain words to find it by.
_HOSTILE = {
    "script.md": f"# <script>window.__hacked=1</script> heading {ATTACK}\n\n"
    "The zeppelin password is <script>window.__hacked=1</script> and <svg onload=window.__hacked=1> says the "
    "captain.\n",
    "links.md": "# Links of the zeppelin crew\n\nThe zeppelin crew likes [this](javascript:window.__hacked=1) and "
    "[that](data:text/html,<script>window.__hacked=1</script>) and ![picture](http://evil.example/pixel.png) and "
    "<http://evil.example/> and <iframe src=http://evil.example/frame></iframe> and "
    "<a href=javascript:alert(1)>here</a>.\n",
    "templates.txt": "The zeppelin menu offers {{value}} and ${alert(1)} and {{#each value}}{{{this}}}{{/each}} and "
    "<%= value %> and ${window.__hacked=1} and {% raw %} for every passenger.\n",
    "cover.txt": "The zeppelin cabin is decorated with <style>*{position:fixed;inset:0;background:red}</style> and "
    "</p></li></ol></div><div style=position:fixed;inset:0;z-index:9999>nothing else</div> in gold.\n",
    "direction.txt": "The zeppelin ticket was bought by \u202eelpmaxe.live\u202c and \u2066hidden\u2069 people, says "
    "the inspector of the zeppelin line.\n",
    f"{ATTACK}.md": "# Cargo of the zeppelin\n\nThe zeppelin cargo is a crate of walnuts and forty umbrellas.\n",
}


def write_corpus(folder: Path, *, hostile: bool = True) -> Path:
    """Write ordinary documents, a broken one and, optionally, hostile ones."""
    write(
        folder,
        {
            "notes/norvik.md": _NORVIK,
            "notes/bakery.md": _BAKERY,
            "notes/glacier.md": _GLACIER,
            "notes/copies/glacier-again.md": _GLACIER,
            "notes/chronicle.md": f"# {LONG_TITLE}\n\nThe chronicle of Weil says that the mill burned down twice.\n",
            "notes/maktaba.md": _ARABIC,
            "code/tides.py": _TIDES,
        },
    )
    if hostile:
        write(folder / "hostile" / ATTACK, _HOSTILE)
    (folder / "papers").mkdir()
    (folder / "papers/kites.pdf").write_bytes(
        pdf(_KITES, title=f"Kite festival handbook {ATTACK if hostile else ''}".strip())
    )
    (folder / "papers/broken.pdf").write_bytes(b"%PDF-1.7 no more of it")
    return folder


def write_many(folder: Path, count: int) -> Path:
    """Write `count` documents of one long passage each, which take a while to embed."""
    letter = (
        "The station recorded the temperature, the wind and the height of the snow, and sent a letter with all of it. "
    )
    write(folder, {f"station-{number:02}.md": f"# Station {number}\n\n{letter * 6}\n" for number in range(count)})
    return folder


def write(folder: Path, texts: dict[str, str]) -> None:
    """Write files by their path below a folder."""
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def pdf(pages: list[str], *, title: str) -> bytes:
    """Return a PDF with the lines of each page in Helvetica."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for number, page in enumerate(pages):
        lines = "".join(f"({line}) Tj 0 -20 Td " for line in page.split("\n"))
        stream = f"BT /F1 14 Tf 50 700 Td {lines} ET"
        font = "/Resources<</Font<</F1 3 0 R>>>>"
        objects.append(f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]{font}/Contents {5 + 2 * number} 0 R>>")
        objects.append(f"<</Length {len(stream)}>>stream\n{stream}\nendstream")
    objects.append(f"<</Title({title})>>")
    content, offsets = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(content))
        content += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    head = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n"
    end = f"trailer<</Size {len(objects) + 1}/Root 1 0 R/Info {len(objects)} 0 R>>\nstartxref\n{len(content)}\n%%EOF"
    return content + f"{head}{table}{end}".encode()
