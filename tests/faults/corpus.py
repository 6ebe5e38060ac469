"""Documents made of chance and a seed: Markdown, text and HTML, with texts that overlap and texts that are alike."""

from __future__ import annotations

import random
from pathlib import Path

_WORDS = (
    "anchor autumn barley beacon bridge candle canyon cellar chapel cinder clover copper cradle desert ember engine "
    "falcon ferry forest garden glacier granite harbour hollow island ivory jasmine kettle ladder lantern lemon linen "
    "marble meadow mirror monsoon mountain needle oyster paper pebble pepper pillar planet pottery quarry rain ribbon "
    "river saddle saffron sailor salmon shadow silver spider spring stable storm sugar summer tallow temple thunder "
    "timber tunnel valley velvet village violet walnut water weaver willow window winter wolf wool yarrow zephyr"
).split()
_SUFFIXES = (".md", ".txt", ".html")


def questions(count: int) -> list[str]:
    """Return questions of three words each, always the same ones."""
    chance = random.Random(count)
    return [" ".join(chance.sample(_WORDS, 3)) for _ in range(count)]


def write_corpus(folder: Path, *, documents: int, most_paragraphs: int = 4, seed: int = 0) -> None:
    """Write so many documents; every fifth is a copy of another, every third shares a paragraph with its neighbour."""
    chance = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    before: list[str] = []
    for number in range(documents):
        paragraphs = [_paragraph(chance) for _ in range(chance.randint(1, most_paragraphs))]
        if number % 5 == 4:
            paragraphs = before
        elif number % 3 == 2:
            paragraphs[0] = before[0]
        _write(folder / f"part{number % 3}/paper{number:03}{_SUFFIXES[number % 3]}", paragraphs)
        before = paragraphs


def mutate(folder: Path, *, seed: int) -> None:
    """Change, rename, copy, delete and add documents; as many go as come, and no new text was there before."""
    chance = random.Random(f"mutation {seed}")
    files = sorted(path for path in folder.glob("part*/*") if path.is_file())
    chance.shuffle(files)
    changed, extended, renamed, copied, *deleted = files[:6]
    _write(changed, [_paragraph(chance) for _ in range(2)])
    extended.write_text(extended.read_text() + f"\n\n{_paragraph(chance)}\n")
    renamed.rename(renamed.with_name(f"renamed{seed:03}{renamed.suffix}"))
    copied.with_name(f"copied{seed:03}{copied.suffix}").write_text(copied.read_text())
    for path in deleted:
        path.unlink()
    _write(folder / f"part0/new{seed:03}.md", [_paragraph(chance) for _ in range(2)])


def _paragraph(chance: random.Random) -> str:
    sentences = [" ".join(chance.choices(_WORDS, k=chance.randint(4, 9))).capitalize() for _ in range(4)]
    return f"Number {chance.randrange(10**9)}. " + ". ".join(sentences) + "."


def _write(path: Path, paragraphs: list[str]) -> None:
    path.parent.mkdir(exist_ok=True)
    title = " ".join(paragraphs[0].split()[1:2])
    body = "\n\n".join(paragraphs)
    if path.suffix == ".md":
        body = f"# Paper {title}\n\n" + "\n\n## Further\n\n".join(paragraphs) + "\n"
    elif path.suffix == ".html":
        inner = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
        body = f"<html><head><title>Paper {title}</title></head><body>{inner}</body></html>"
    path.write_text(body)
