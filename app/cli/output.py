"""Print hits, answers and reports, as text or as JSON. Text from documents is never interpreted as markup."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from echo_index.app.defaults import DEFAULTS
from echo_index.app.services.formatting import (
    MAX_DUPLICATES,
    approximate_search_line,
    byte_count,
    change_counts,
    duplicate_text,
    failure_lines,
    heading_path,
    index_size,
    location_text,
    match_reasons,
    omission_lines,
    pattern_lines,
    pluralize,
    publication_line,
    recognition_text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from echo_index.indexer.building.document_sync import BuildReport
    from echo_index.indexer.building.removal import RemovalReport
    from echo_index.indexer.exchange.export_index import ExchangeReport
    from echo_index.indexer.inspection.integrity_checks import Check
    from echo_index.indexer.sources.skipped_files import SkippedFiles
    from echo_index.retriever.rag.answer_stream import AnswerStream
    from echo_index.retriever.search.hits import Hit

_MAX_OMISSIONS = 20  # documents of which is said what they lack
_CONTROLS = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
"""Control characters, which could move the cursor or change settings of the terminal."""
_NAME_CONTROLS = {**_CONTROLS, **dict.fromkeys((9, 10, *range(0x202A, 0x202F), *range(0x2066, 0x206A)), "\ufffd")}
"""In a name also line ends and marks of writing direction, which could make it look like another name."""


def strip_controls(text: str) -> str:
    """Replace control characters of a text by U+FFFD."""
    return text.translate(_CONTROLS)


def one_line(name: str) -> str:
    """Replace control characters, line ends and direction marks of a name by U+FFFD."""
    return name.translate(_NAME_CONTROLS)


def print_json(console: Console, value: Any) -> None:
    """Print one JSON value."""
    console.file.write(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def print_hits(console: Console, hits: Sequence[Hit]) -> None:
    """Print hits, best first."""
    if not hits:
        console.print("Nothing was found.")
    for number, hit in enumerate(hits, start=1):
        console.print(Text.assemble((f"{number}. ", "bold"), (_title(hit), "bold cyan")))
        console.print(Text.assemble("   ", (_location(hit), "green"), (f"   {_remarks(hit)}", "dim")), soft_wrap=True)
        excerpt = strip_controls(hit.full_text).strip()
        if hit.format != "code":
            excerpt = " ".join(excerpt.split())  # the terminal wraps lines itself
        if len(excerpt) > DEFAULTS.longest_excerpt:
            excerpt = excerpt[: DEFAULTS.longest_excerpt].rsplit(" ", 1)[0] + " …"
        console.print(Padding(Text(excerpt), (0, 0, 0 if hit.duplicates else 1, 3)))
        if hit.duplicates:
            console.print(Padding(Text(_duplicates(hit), style="dim"), (0, 0, 1, 3)))


def print_answer(console: Console, stream: AnswerStream) -> None:
    """Print an answer while it is generated, then the passages that it cites."""
    has_text = False
    try:
        for piece in stream:
            console.print(strip_controls(piece), end="", soft_wrap=True)
            has_text = True
    finally:
        if has_text:  # also after an error of the model
            console.print("\n")
    answer = stream.answer
    for citation in answer.citations:
        line = Text.assemble(
            (f"[{citation.number}] ", "bold"),
            _title(citation.hit),
            "  ",
            (_location(citation.hit), "green"),
            (f"   {recognition_text(citation.hit)}".rstrip(), "dim"),
        )
        console.print(line, soft_wrap=True)


def print_notes(console: Console, notes: Sequence[tuple[Hit, str]]) -> None:
    """Print what parts of a document say, each with its place."""
    for part, note in notes:
        if note:
            console.print(Text(_location(part), style="green"), soft_wrap=True)
            console.print(Padding(Text(strip_controls(note)), (0, 0, 1, 3)))


def print_report(console: Console, report: BuildReport) -> None:
    """Print the result of a build."""
    embedded = f"{pluralize(report.embedded, 'passage')} embedded" if report.embedded else "nothing had to be embedded"
    console.print(f"Files: {change_counts(report) or 'none'}; {embedded} in {report.seconds:.1f} s.")
    if report.read_again:
        console.print("Unchanged files were read again, as this version finds more in them.")
    if report.left_out:
        removed = "it was" if report.left_out == 1 else "they were"
        line = f"{pluralize(report.left_out, 'file')} skipped because {removed} removed from the index"
        console.print(f"{line}; to add one again: echo-index build FILE", soft_wrap=True)
    for line in pattern_lines(report):
        console.print(Text(f"{one_line(line)}; to index all files: --include '*'"), soft_wrap=True)
    print_skipped(console, report.skipped)
    console.print(f"The index contains {index_size(report)}.")
    if report.vector_index is not None:
        console.print(Text(approximate_search_line(report.vector_index)), soft_wrap=True)
    if report.published is not None:
        console.print(Text(one_line(publication_line(report.published))), soft_wrap=True)
    print_recognitions(console, report.recognitions)
    print_omissions(console, report.omissions)
    print_failures(console, report.failures)
    print_hint(console, report.ocr_hint)


def print_removal(console: Console, report: RemovalReport) -> None:
    """Print the documents that were removed, and the size of the index."""
    for path in report.removed:
        console.print(Text(f"Removed {one_line(path)}"), soft_wrap=True)
    console.print(f"The index contains {index_size(report)}.")


def print_export(console: Console, report: ExchangeReport) -> None:
    """Print what a file holds after an export."""
    line = f"{report.file} holds {index_size(report)}, with vectors of {report.model}; {byte_count(report.bytes)}."
    console.print(Text(one_line(line)), soft_wrap=True)


def print_import(console: Console, report: ExchangeReport) -> None:
    """Print what an index holds after an import."""
    line = f"The index in {report.index} contains {index_size(report)}, with vectors of {report.model}."
    console.print(Text(one_line(line)), soft_wrap=True)


def print_checks(console: Console, checks: Sequence[Check], *, repaired: bool) -> None:
    """Print each check with its problems, and what to do next."""
    for check in checks:
        state, style = ("good", "green") if not check.problems else ("bad", "red")
        if check.repaired:
            state, style = "repaired", "yellow"
        line = Text.assemble((f"{state:<9}", style), (f"{check.name:<14}", "bold"), one_line(check.looked_at))
        console.print(line, soft_wrap=True)
        for problem in check.problems:
            console.print(Text(f"         {one_line(problem)}"), soft_wrap=True)
    unrepaired = [check for check in checks if check.problems and not check.repaired]
    if not unrepaired:
        console.print("The index is intact.")
    elif not repaired:
        console.print("Repair what can be repaired: echo-index verify --repair")
    elif any(check.name == "passages" for check in unrepaired):
        console.print("The next build reads these documents again: echo-index build")
    else:
        console.print("The index cannot repair this itself; build it again: echo-index build --rebuild FOLDER")


def print_skipped(console: Console, skipped: SkippedFiles) -> None:
    """Print how many files were passed over, and why."""
    for sentence in skipped.sentences():
        console.print(Text(one_line(sentence), style="yellow"), soft_wrap=True)


def print_omissions(console: Console, omissions: Sequence[tuple[str, str]]) -> None:
    """Print what is missing from the texts of documents; the list ends after twenty documents."""
    lines = omission_lines(omissions)
    if not lines:
        return
    console.print(Text(f"Not everything was read in {pluralize(len(lines), 'file')}:", style="yellow"))
    for line in lines[:_MAX_OMISSIONS]:
        console.print(Text(f"  {one_line(line)}"), soft_wrap=True)
    if len(lines) > _MAX_OMISSIONS:
        console.print(
            f"  and {pluralize(len(lines) - _MAX_OMISSIONS, 'more file')}; all of them: echo-index status --json"
        )


def print_recognitions(console: Console, recognitions: Sequence[tuple[str, str]]) -> None:
    """Print what was recognized in pictures, and how well; the list ends after twenty documents."""
    if not recognitions:
        return
    console.print(f"Pictures of text in {pluralize(len(recognitions), 'file')}:")
    for path, phrase in recognitions[:_MAX_OMISSIONS]:
        console.print(Text(f"  {one_line(path)}: {phrase}"), soft_wrap=True)
    if len(recognitions) > _MAX_OMISSIONS:
        more = pluralize(len(recognitions) - _MAX_OMISSIONS, "more file")
        console.print(f"  and {more}; all of them: echo-index status --json")


def print_hint(console: Console, hint: str) -> None:
    """Print what the user can do, if anything."""
    if hint:
        console.print(Text(hint, style="yellow"), soft_wrap=True)


def print_failures(console: Console, failures: list[tuple[str, str]]) -> None:
    """Print which files could not be read, and why."""
    if not failures:
        return
    console.print(Text(f"{pluralize(len(failures), 'file')} could not be read:", style="yellow"))
    for line in failure_lines(failures):
        console.print(Text(f"  {one_line(line)}"), soft_wrap=True)


def _title(hit: Hit) -> str:
    return one_line(heading_path(hit.title, hit.location.headings))


def _location(hit: Hit) -> str:
    return one_line(location_text(hit.location, compact=True))


def _remarks(hit: Hit) -> str:
    """Return why a hit was found, how relevant it is and, for text in a picture, how well it was recognized."""
    reasons = (
        f"{reason.ranking} #{reason.rank} ({reason.score:.{1 if reason.ranking == 'words' else 2}f})"
        for reason in match_reasons(hit)
    )
    relevance = "" if hit.relevance is None else f"relevance {hit.relevance:.2f}"
    return " · ".join(filter(None, [*reasons, relevance, recognition_text(hit)]))


def _duplicates(hit: Hit) -> str:
    places = [*dict.fromkeys(one_line(duplicate_text(place, hit, compact=True)) for place in hit.duplicates)]
    more = f" and {len(places) - MAX_DUPLICATES} more" if len(places) > MAX_DUPLICATES else ""
    return f"the same at {', '.join(places[:MAX_DUPLICATES])}{more}"
