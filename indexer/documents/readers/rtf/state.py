"""Keep what holds at a place of an RTF document: the formats of its groups, and where its text goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.blocks import Block
from echo_index.indexer.documents.readers.rtf.fields import Field
from echo_index.indexer.documents.readers.rtf.shapes import Shape
from echo_index.indexer.documents.readers.rtf.stories import Story
from echo_index.indexer.documents.readers.rtf.styles import Paragraph, Styles

if TYPE_CHECKING:
    from lxml.etree import _Element

Closing = Callable[[], None]

_MAX_STORIES = 20  # within each other


@dataclass(frozen=True, slots=True)
class Sink:
    """Takes the text of a group that is not seen at its place. Its kind says which groups may stand in it."""

    kind: str
    keeps_text: bool = False
    pieces: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Return the text that was kept."""
        return "".join(self.pieces)


UNSEEN = Sink("unseen")


@dataclass(frozen=True, slots=True)
class Frame:
    """What holds in a group. Without a sink, text is seen at its place."""

    paragraph: Paragraph = field(default_factory=Paragraph)
    is_hidden: bool = False
    is_deleted: bool = False
    is_raised: bool = False
    sink: Sink | None = None

    @property
    def is_seen(self) -> bool:
        """Whether a person sees the text."""
        return self.sink is None and not self.is_hidden and not self.is_deleted


@dataclass(slots=True)
class NoteNumbers:
    """How footnotes or endnotes are numbered: the format, and the next number."""

    format: str
    next: int = 1


@dataclass(slots=True)
class State:
    """A place in a document. `fields`, `shapes` and elements of an `equation` are those open, innermost last."""

    styles: Styles = field(default_factory=Styles)
    frame: Frame = field(default_factory=Frame)
    story: Story = field(init=False)
    fields: list[Field] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)
    equation: list[_Element] = field(default_factory=list)
    footnotes: NoteNumbers = field(default_factory=lambda: NoteNumbers("decimal"))
    endnotes: NoteNumbers = field(default_factory=lambda: NoteNumbers("lowerRoman"))
    furniture: dict[str, list[Block]] = field(default_factory=dict)
    has_facing_pages: bool = False
    has_title_page: bool = False
    title: str = ""
    embedded_objects: int = 0
    _closings: list[Closing] | None = None
    _stack: list[tuple[Frame, list[Closing] | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin the body."""
        self.story = Story(self.styles)

    def open_group(self) -> None:
        """Begin a group, in which all holds that held before it."""
        self._stack.append((self.frame, self._closings))
        self._closings = None

    def close_group(self) -> None:
        """End a group. Without one, do nothing."""
        while self._closings:
            self._closings.pop()()
        if self._stack:
            self.frame, self._closings = self._stack.pop()

    def close_all(self) -> None:
        """End all groups, as at the end of a file that was cut off."""
        while self._stack:
            self.close_group()

    def at_close(self, closing: Closing) -> None:
        """Do something at the end of the group, in which then still holds what is said in it."""
        if self._closings is None:
            self._closings = []
        self._closings.append(closing)

    def change(self, frame: Frame) -> None:
        """Let other formats hold in the rest of the group."""
        self.frame = frame

    def change_paragraph(self, paragraph: Paragraph) -> None:
        """Let other formats of paragraphs hold in the rest of the group."""
        if paragraph != self.frame.paragraph:
            self.frame = replace(self.frame, paragraph=paragraph)

    def drain(self, kind: str, closing: Callable[[str], None] | None = None) -> None:
        """Take the text of the group out of its place, and give it to `closing` at its end."""
        sink = Sink(kind, keeps_text=closing is not None)
        self.frame = replace(self.frame, sink=sink)
        if closing is not None:
            self.at_close(lambda: closing(sink.text()))

    def hide(self) -> None:
        """Take the text of the group out, with all groups in it."""
        self.frame = replace(self.frame, sink=UNSEEN)

    def begin_story(self, closing: Callable[[list[Block], Story], None], *, is_note: bool = False) -> None:
        """Let the group be a text of its own, and give its blocks to `closing` at its end.

        A text within too many others is not seen.
        """
        outer = self.story
        if outer.depth == _MAX_STORIES:
            self.hide()
            return
        self.story = Story(self.styles, is_note=is_note, depth=outer.depth + 1)
        self.frame = Frame(is_hidden=self.frame.is_hidden, is_deleted=self.frame.is_deleted)

        def finish() -> None:
            inner, self.story = self.story, outer
            closing(inner.finish(self.frame.paragraph), inner)

        self.at_close(finish)

    def write(self, text: str) -> None:
        """Write text where it goes."""
        if self.frame.is_seen:
            self.story.write(text, is_raised=self.frame.is_raised)
        elif self.frame.sink is not None and self.frame.sink.keeps_text:
            self.frame.sink.pieces.append(text)
