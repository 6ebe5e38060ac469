"""Follow the control words that change formats, end paragraphs and cells, or stand for a character."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from echo_index.indexer.documents.readers.page_numbers import PAGE_NUMBER
from echo_index.indexer.documents.readers.rtf.state import State
from echo_index.indexer.documents.readers.rtf.styles import Paragraph
from echo_index.indexer.documents.readers.rtf.tables import RowFormat

Handler = Callable[[State, int | None], None]

_DEFAULT_PARAGRAPH = Paragraph()
_MERGES = ("clvmgf", "clvmrg", "clmrg")


def _plain(state: State, number: int | None) -> None:
    frame = state.frame
    if frame.is_hidden or frame.is_deleted or frame.is_raised:
        state.change(replace(frame, is_hidden=False, is_deleted=False, is_raised=False))


def _hidden(state: State, number: int | None) -> None:
    state.change(replace(state.frame, is_hidden=number != 0))


def _deleted(state: State, number: int | None) -> None:
    state.change(replace(state.frame, is_deleted=number != 0))


def _raised(state: State, number: int | None) -> None:
    state.change(replace(state.frame, is_raised=number != 0))


def _not_raised(state: State, number: int | None) -> None:
    state.change(replace(state.frame, is_raised=False))


def _default_paragraph(state: State, number: int | None) -> None:
    state.change_paragraph(_DEFAULT_PARAGRAPH)


def _style(state: State, number: int | None) -> None:
    sink = state.frame.sink
    state.change_paragraph(replace(state.frame.paragraph, style=number or 0))
    if sink is not None and sink.kind == "styles":
        state.drain("style", lambda name: state.styles.add(state.frame.paragraph, name))


def _base_style(state: State, number: int | None) -> None:
    sink = state.frame.sink
    if sink is not None and sink.kind == "style" and number is not None:
        state.styles.base(state.frame.paragraph.style, number)


def _outline_level(state: State, number: int | None) -> None:
    state.change_paragraph(replace(state.frame.paragraph, outline=number or 0))


def _in_table(state: State, number: int | None) -> None:
    if state.frame.paragraph.is_in_table != (number != 0):
        state.change_paragraph(replace(state.frame.paragraph, is_in_table=number != 0))


def _nesting(state: State, number: int | None) -> None:
    state.change_paragraph(replace(state.frame.paragraph, nesting=max(0, number or 0)))


def _facing_pages(state: State, number: int | None) -> None:
    state.has_facing_pages = True


def _title_page(state: State, number: int | None) -> None:
    state.has_title_page = True


def _field_setting(name: str) -> Handler:
    def note(state: State, number: int | None) -> None:
        if state.fields:
            state.fields[-1].settings[name] = number or 0

    return note


def _first_note(state: State, number: int | None) -> None:
    state.footnotes.next = max(0, number or 0)


def _first_endnote(state: State, number: int | None) -> None:
    state.endnotes.next = max(0, number or 0)


def _number_format(word: str, format: str) -> Handler:
    def note(state: State, number: int | None) -> None:
        (state.endnotes if word.startswith("a") else state.footnotes).format = format

    return note


def _end_paragraph(state: State, number: int | None) -> None:
    """End a paragraph, unless its end is hidden or was deleted: then it goes on in the next one."""
    if state.frame.is_seen:
        state.story.end_paragraph(state.frame.paragraph)


def _end_cell(state: State, number: int | None) -> None:
    state.story.end_cell(state.frame.paragraph)


def _end_row(state: State, number: int | None) -> None:
    state.story.end_row(state.frame.paragraph, is_nested=False)


def _end_nested_row(state: State, number: int | None) -> None:
    state.story.end_row(state.frame.paragraph, is_nested=True)


def _begin_row(state: State, number: int | None) -> None:
    state.story.row = RowFormat(is_open=True)


def _header_row(state: State, number: int | None) -> None:
    state.story.row.is_header = True


def _cell_edge(state: State, number: int | None) -> None:
    state.story.row.add_cell(number or 0)


def _merge(word: str) -> Handler:
    return lambda state, number: state.story.row.merges.add(word)


def _character(character: str) -> Handler:
    return lambda state, number: state.write(character)


def _page_number(state: State, number: int | None) -> None:
    if state.story.is_furniture:
        state.write(PAGE_NUMBER)


def _note_mark(state: State, number: int | None) -> None:
    if state.frame.is_seen and not state.story.is_note:
        state.story.has_note_mark = True


def _endnote(state: State, number: int | None) -> None:
    state.story.is_endnote = True


_NUMBER_FORMATS = {
    **{"nar": "decimal", "nalc": "lowerLetter", "nauc": "upperLetter", "nrlc": "lowerRoman", "nruc": "upperRoman"},
    **{"nchi": "chicago", "ncnum": "decimalEnclosedCircle"},
}

EVERYWHERE: dict[str, Handler] = {
    **{"plain": _plain, "v": _hidden, "deleted": _deleted, "super": _raised, "up": _raised},
    **{"nosupersub": _not_raised, "sub": _not_raised, "dn": _not_raised},
    **{"pard": _default_paragraph, "s": _style, "sbasedon": _base_style, "outlinelevel": _outline_level},
    **{"intbl": _in_table, "itap": _nesting, "facingp": _facing_pages, "titlepg": _title_page},
    **{name: _field_setting(name) for name in ("fftype", "ffres", "ffdefres")},
    **{"ftnstart": _first_note, "aftnstart": _first_endnote},
    **{
        f"{kind}{end}": _number_format(f"{kind}{end}", format)
        for kind in ("ftn", "aftn")
        for end, format in _NUMBER_FORMATS.items()
    },
}
"""What is done at control words wherever they stand."""

WHERE_SEEN: dict[str, Handler] = {
    **{"par": _end_paragraph, "sect": _end_paragraph, "cell": _end_cell, "nestcell": _end_cell},
    **{"row": _end_row, "nestrow": _end_nested_row, "trowd": _begin_row, "trhdr": _header_row, "cellx": _cell_edge},
    **{word: _merge(word) for word in _MERGES},
    **{"tab": _character("\t"), "line": _character("\n"), "page": _character("\n"), "column": _character("\n")},
    **{"chpgn": _page_number, "chftn": _note_mark, "ftnalt": _endnote},
}
"""What is done at control words that stand where text is seen."""
