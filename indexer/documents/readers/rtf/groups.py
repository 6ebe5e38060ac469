"""Follow the groups that are texts of their own, or that hold something else than text of the page."""

from __future__ import annotations

from collections.abc import Callable

from echo_index.indexer.documents.readers.blocks import Block
from echo_index.indexer.documents.readers.number_formats import format_number
from echo_index.indexer.documents.readers.office.equations import linear_equation
from echo_index.indexer.documents.readers.page_numbers import PAGE_NUMBER
from echo_index.indexer.documents.readers.rtf.equations import ELEMENTS, EQUATION, new_element, set_text
from echo_index.indexer.documents.readers.rtf.fields import Field
from echo_index.indexer.documents.readers.rtf.shapes import PROPERTIES, Shape
from echo_index.indexer.documents.readers.rtf.state import Sink, State
from echo_index.indexer.documents.readers.rtf.stories import Story

Beginning = Callable[[State], None]

_MAX_EQUATION_DEPTH = 50

FURNITURE = frozenset("header headerl headerr headerf footer footerl footerr footerf".split())
"""The words of headers and footers: of all pages, of left and right ones, and of first ones."""

UNSEEN_GROUPS = frozenset(
    """
    fonttbl colortbl filetbl revtbl listtable listoverridetable list listname leveltext levelnumbers
    rsidtbl generator xmlnstbl template themedata
    author operator keywords comment doccomm subject category manager company hlinkbase creatim revtim printim buptim
    nonshppict shprslt objdata objclass objname objalias objsect nonesttables
    ftnsep ftnsepc ftncn aftnsep aftnsepc aftncn xe tc rxe txe bkmkstart bkmkend private pntxta pntxtb pnseclvl
    annotation atnid atnauthor atntime atndate atnref atnicn atnparent atrfstart atrfend background
    """.split()
)
"""The words of groups that are not seen. Groups of optional words that are not known here are not seen either."""


def _info(state: State) -> None:
    state.drain("info")


def _title(state: State) -> None:
    def note(title: str) -> None:
        state.title = " ".join(title.split()) or state.title

    state.drain("title", note)


def _styles(state: State) -> None:
    state.drain("styles")


def _label(state: State) -> None:
    is_seen, story = state.frame.is_seen, state.story
    state.drain("label", lambda text: story.label(text) if is_seen and text.strip() else None)


def _note(state: State) -> None:
    is_seen, outer = state.frame.is_seen, state.story
    own_mark = outer.take_note_mark() if is_seen else ""

    def finish(blocks: list[Block], note: Story) -> None:
        if is_seen:
            numbers = state.endnotes if note.is_endnote else state.footnotes
            mark = f"[{own_mark or format_number(numbers.next, numbers.format)}]"
            numbers.next += not own_mark
            outer.add_note(mark, _marked(blocks, mark, own_mark=own_mark))

    state.begin_story(finish, is_note=True)


def _marked(blocks: list[Block], mark: str, *, own_mark: str) -> list[Block]:
    """Return a note behind its mark. The mark that an author repeats in the note is not repeated here."""
    filled = [block for block in blocks if block.text.strip()]
    if not filled:
        return []
    text = filled[0].text.strip().removeprefix(own_mark).removeprefix(f"^{own_mark}" if own_mark else "").lstrip()
    return [Block(f"{mark} {text}"), *filled[1:]]


def _furniture(word: str) -> Beginning:
    def begin(state: State) -> None:
        def finish(blocks: list[Block], story: Story) -> None:
            state.furniture.setdefault(word, []).extend(blocks)

        state.begin_story(finish)
        state.story.is_furniture = True

    return begin


def _field(state: State) -> None:
    story, length = state.story, state.story.length
    opened = Field()
    state.fields.append(opened)

    def finish() -> None:
        state.fields.pop()
        if story.length == length:
            state.write(opened.drawn())

    state.at_close(finish)


def _code(state: State) -> None:
    if state.fields:
        state.drain("code", state.fields[-1].code.append)
    else:
        state.hide()


def _result(state: State) -> None:
    if state.story.is_furniture and state.fields and state.fields[-1].is_page_number():
        state.write(PAGE_NUMBER)
        state.hide()


def _form(state: State) -> None:
    state.drain("form")


def _entry(state: State) -> None:
    if state.fields:
        state.drain("entry", state.fields[-1].entries.append)


def _picture(state: State) -> None:
    state.drain("picture")


def _shape(state: State) -> None:
    """Begin a shape or the properties of a picture, which hold names, values and texts of boxes."""
    shape, story = Shape(), state.story
    is_seen = not state.frame.is_hidden and not state.frame.is_deleted
    state.drain("shape")
    state.shapes.append(shape)

    def finish() -> None:
        state.shapes.pop()
        if is_seen:
            story.add_beside(shape.shown())

    state.at_close(finish)


def _property_name(state: State) -> None:
    def note(name: str) -> None:
        state.shapes[-1].name = name.strip()

    state.drain("name", note)


def _property_value(state: State) -> None:
    shape = state.shapes[-1]
    if shape.name in PROPERTIES:
        state.drain("value", lambda value: shape.properties.update({shape.name: value.strip()}))


def _text_box(state: State) -> None:
    shape = state.shapes[-1]
    state.begin_story(lambda blocks, story: shape.blocks.extend(blocks))


def _object(state: State) -> None:
    story, length = state.story, state.story.length

    def finish() -> None:
        state.embedded_objects += story.length == length and state.frame.is_seen

    state.at_close(finish)


def _nested_row(state: State) -> None:
    """Keep the format of the outer row, which the group of a nested row would change."""
    story, row = state.story, state.story.row

    def finish() -> None:
        story.row = row

    state.at_close(finish)


def _equation(word: str) -> Beginning:
    def begin(state: State) -> None:
        if len(state.equation) == _MAX_EQUATION_DEPTH:
            state.hide()
            return
        element = new_element(word, state.equation[-1] if state.equation else None)
        is_seen, story = state.frame.is_seen, state.story
        state.equation.append(element)

        def finish(text: str) -> None:
            state.equation.pop()
            set_text(element, text, word=word)
            if is_seen and not state.equation:
                story.write(linear_equation(element))

        state.drain("equation", finish)

    return begin


def _as_it_is(state: State) -> None:
    """Let the group be a part of the one around it."""


GROUPS: dict[str, tuple[frozenset[str], Beginning]] = {
    word: (frozenset(kinds.split(",")), begin)
    for word, kinds, begin in (
        ("info", "", _info),
        ("title", "info", _title),
        ("stylesheet", "", _styles),
        ("listtext", "", _label),
        ("pntext", "", _label),
        ("footnote", "", _note),
        *((word, "", _furniture(word)) for word in sorted(FURNITURE)),
        ("field", "", _field),
        ("fldinst", "", _code),
        ("fldrslt", "", _result),
        ("formfield", "code", _form),
        ("ffl", "form", _entry),
        ("pict", "", _picture),
        ("picprop", "picture", _shape),
        ("shp", ",shape", _shape),
        ("shpgrp", ",shape", _shape),
        ("do", "", _shape),
        ("sn", "shape", _property_name),
        ("sv", "shape", _property_value),
        ("shptxt", "shape", _text_box),
        ("dptxbxtext", "shape", _text_box),
        ("shpinst", "shape", _as_it_is),
        ("object", "", _object),
        ("nesttableprops", "", _nested_row),
        ("shppict", "", _as_it_is),
        (EQUATION, "", _equation(EQUATION)),
        ("moMathPara", "", _as_it_is),
        *((word, "equation", _equation(word)) for word in sorted(ELEMENTS)),
        ("ud", ",info", _as_it_is),
    )
}
"""How groups begin by their words, and in which kinds of groups they stand: "" is where text is seen."""


def kind_of(sink: Sink | None) -> str:
    """Return the kind of the group that has this sink: "" where text is seen."""
    return "" if sink is None else sink.kind
