"""Read the body of an RTF document, event by event."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from echo_index.indexer.documents.readers.blocks import Block
from echo_index.indexer.documents.readers.page_numbers import without_page_numbers
from echo_index.indexer.documents.readers.rtf.events import Event, events
from echo_index.indexer.documents.readers.rtf.formats import EVERYWHERE, WHERE_SEEN
from echo_index.indexer.documents.readers.rtf.groups import GROUPS, UNSEEN_GROUPS, kind_of
from echo_index.indexer.documents.readers.rtf.state import UNSEEN, State

_WORDS = frozenset((*EVERYWHERE, *WHERE_SEEN, *GROUPS, *UNSEEN_GROUPS))


@dataclass(frozen=True, slots=True)
class Body:
    """The blocks of a document, the title of its information, and how many embedded objects have no text."""

    blocks: list[Block]
    title: str
    embedded_objects: int


def read_body(content: bytes) -> Body:
    """Return the body: headers, paragraphs and tables with the notes behind them, and footers.

    Raises:
        DocumentError: its groups are nested too deeply.
    """
    state = State()
    for event in events(content, _WORDS):
        if event.text:
            state.write(event.text)
        elif event.border == "{":
            state.open_group()
        elif event.border:
            state.close_group()
        elif state.frame.sink is not UNSEEN:
            _pass_word(state, event)
    state.close_all()
    blocks = state.story.finish(state.frame.paragraph)
    return Body(
        [*_furniture(state, "header"), *blocks, *_furniture(state, "footer")], state.title, state.embedded_objects
    )


def _pass_word(state: State, event: Event) -> None:
    word, sink = event.word, state.frame.sink
    if word in UNSEEN_GROUPS:
        state.hide()
    elif word in GROUPS:
        kinds, begin = GROUPS[word]
        begin(state) if kind_of(sink) in kinds else state.hide()
    elif event.is_optional:
        state.hide()
    elif word in EVERYWHERE:
        EVERYWHERE[word](state, event.number)
    elif sink is None and word in WHERE_SEEN:
        WHERE_SEEN[word](state, event.number)


def _furniture(state: State, kind: str) -> Iterator[Block]:
    """Yield the distinct texts of the headers or footers that are shown, without the numbers of pages."""
    shown = {
        kind: True,
        f"{kind}l": state.has_facing_pages,
        f"{kind}r": state.has_facing_pages,
        f"{kind}f": state.has_title_page,
    }
    seen: set[str] = set()
    for word, is_shown in shown.items():
        for block in state.furniture.get(word, []) if is_shown else []:
            text = without_page_numbers(block.text)
            if text.strip() and text not in seen:
                seen.add(text)
                yield Block(text)
