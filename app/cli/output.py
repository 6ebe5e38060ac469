"""What the command line prints: hits, answers, reports, for people or as JSON. What documents say is never markup."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from echo_index.app.defaults import DEFAULTS
from echo_index.app.services.formatting import pattern_lines, pluralize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from echo_index.indexer.building.document_sync import BuildReport
    from echo_index.indexer.building.removal import RemovalReport
    from echo_index.indexer.inspection.integrity_checks import Check
    from echo_index.retriever.rag.answer_stream import AnswerStream
    from echo_index.retriever.search.hits import Hit, Location

_MOST_ALIKE = 5  # places where the same is said are named
_CONTROLS = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
"""Control characters: a document must not steer the terminal."""
_IN_NAMES = {**_CONTROLS, **dict.fromkeys((9, 10, *range(0x202A, 0x202F), *range(0x2066, 0x206A)), "\ufffd")}
"""In a name also line ends, and what turns the direction of writing: a name must not look like another."""


def strip_controls(text: str) -> str:
    """Return text that a terminal shows as it is."""
    return text.translate(_CONTROLS)


def one_line(name: str) -> str:
    """Return a name, such as that of a file, as a terminal shows it in one line."""
    return name.translate(_IN_NAMES)


def print_json(console: Console, value: Any) -> None:
    """Print one JSON value."""
    console.file.write(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def location_text(hit: Hit) -> str:
    """Return where a hit stands, as a person would say it."""
    return one_line(f"{hit.source}{_spot(hit)}")


def _alike(hit: Hit) -> str:
    """Return where else the same is said: the lines or pages of its own document, the names of others."""
    spots = [_spot(each) if each.source == hit.source else f"{each.source}{_spot(each)}" for each in hit.duplicates]
    said = [one_line(spot.lstrip(":, ") or "elsewhere in it") for spot in dict.fromkeys(spots)]
    more = f" and {len(said) - _MOST_ALIKE} more" if len(said) > _MOST_ALIKE else ""
    return f"the same at {', '.join(said[:_MOST_ALIKE])}{more}" if said else ""


def _spot(spot: Hit | Location) -> str:
    return f", page {spot.page}" if spot.page else f":{spot.line}" if spot.line else ""


def title_line(hit: Hit) -> str:
    """Return the title and heading path of a hit."""
    from echo_index.indexer.documents.chunking import title_path

    return one_line(" > ".join(title_path(hit.title, hit.headings)))


def print_hits(console: Console, hits: list[Hit]) -> None:
    """Print what was found, best first."""
    if not hits:
        console.print("Nothing was found.")
    for number, hit in enumerate(hits, start=1):
        console.print(Text.assemble((f"{number}. ", "bold"), (title_line(hit), "bold cyan")))
        console.print(Text.assemble("   ", (location_text(hit), "green"), (f"   {_why(hit)}", "dim")), soft_wrap=True)
        excerpt = strip_controls(hit.text).strip()
        if hit.format != "code":
            excerpt = " ".join(excerpt.split())  # the terminal has its own line ends
        if len(excerpt) > DEFAULTS.longest_excerpt:
            excerpt = excerpt[: DEFAULTS.longest_excerpt].rsplit(" ", 1)[0] + " …"
        console.print(Padding(Text(excerpt), (0, 0, 0 if hit.duplicates else 1, 3)))
        if hit.duplicates:
            console.print(Padding(Text(_alike(hit), style="dim"), (0, 0, 1, 3)))


def print_answer(console: Console, stream: AnswerStream) -> None:
    """Print an answer while it is being written, then where it was found."""
    begun = False
    try:
        for piece in stream:
            console.print(strip_controls(piece), end="", soft_wrap=True)
            begun = True
    finally:
        if begun:  # also where the model broke off
            console.print("\n")
    answer = stream.answer
    for citation in answer.citations:
        where = Text.assemble(
            (f"[{citation.number}] ", "bold"), title_line(citation.hit), "  ", (location_text(citation.hit), "green")
        )
        console.print(where, soft_wrap=True)


def print_report(console: Console, report: BuildReport) -> None:
    """Print what a build did."""
    done = [
        f"{count} {word}"
        for count, word in (
            (report.added, "new"),
            (report.changed, "changed"),
            (report.unchanged, "unchanged"),
            (report.removed, "removed"),
        )
        if count
    ]
    embedded = f"{pluralize(report.embedded, 'passage')} embedded" if report.embedded else "nothing had to be embedded"
    console.print(f"Files: {', '.join(done) or 'none'}; {embedded} in {report.seconds:.1f} s.")
    if report.left_out:
        said = "as it was removed" if report.left_out == 1 else "as they were removed"
        console.print(
            f"{pluralize(report.left_out, 'file')} left out, {said}; to bring one back: echo-index build FILE"
        )
    for line in pattern_lines(report):
        console.print(Text(f"{one_line(line)}; --include '*' takes all."), soft_wrap=True)
    console.print(_held(report))
    print_failures(console, report.failures)


def print_removal(console: Console, report: RemovalReport) -> None:
    """Print what was removed, and what is left."""
    for path in report.removed:
        console.print(Text(f"Removed {one_line(path)}"), soft_wrap=True)
    console.print(_held(report))


def print_checks(console: Console, checks: Sequence[Check], *, repaired: bool) -> None:
    """Print what was checked and what is wrong, and how to go on."""
    for check in checks:
        state, style = ("good", "green") if not check.problems else ("bad", "red")
        if check.repaired:
            state, style = "mended", "yellow"
        line = Text.assemble((f"{state:<8}", style), (f"{check.name:<14}", "bold"), one_line(check.looked_at))
        console.print(line, soft_wrap=True)
        for problem in check.problems:
            console.print(Text(f"        {one_line(problem)}"), soft_wrap=True)
    left = [check for check in checks if check.problems and not check.repaired]
    if not left:
        console.print("The index is sound.")
    elif not repaired:
        console.print("Mend what can be mended: echo-index verify --repair")
    elif any(check.name == "passages" for check in left):
        console.print("The next build reads these documents again: echo-index build")
    else:
        console.print("This cannot be mended from the index itself: echo-index build --rebuild FOLDER")


def print_failures(console: Console, failures: list[tuple[str, str]]) -> None:
    """Print which documents could not be read, and why."""
    if not failures:
        return
    console.print(Text(f"{pluralize(len(failures), 'file')} could not be read:", style="yellow"))
    for path, reason in failures:
        console.print(Text(f"  {one_line(path)}: {one_line(reason)}"), soft_wrap=True)


def _held(report: BuildReport | RemovalReport) -> str:
    return f"The index holds {pluralize(report.documents, 'document')} in {pluralize(report.chunks, 'passage')}."


def _why(hit: Hit) -> str:
    found = []
    if hit.dense:
        found.append(f"meaning #{hit.dense.rank} ({hit.dense.score:.2f})")
    if hit.lexical:
        found.append(f"words #{hit.lexical.rank} ({hit.lexical.score:.1f})")
    if hit.likelihood:
        found.append(f"likelihood #{hit.likelihood.rank} ({hit.likelihood.score:.2f})")
    return " · ".join(found)
