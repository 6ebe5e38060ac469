"""Take the page of HTML or the plain text out of RTF that encapsulates it, as in mails of Outlook (MS-OXRTFEX).

The package RTFDE is not used: it needs a parser generator and the tools of oletools, and more than linear time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from echo_index.indexer.documents.readers.rtf.events import Event, events
from echo_index.indexer.documents.readers.rtf.groups import FURNITURE, UNSEEN_GROUPS

_LINE_ENDS = {"par": "\n", "line": "\n", "sect": "\n", "page": "\n", "tab": "\t"}
_UNSEEN = UNSEEN_GROUPS | FURNITURE | {"info", "stylesheet", "pict", "object"}
_WORDS = frozenset((*_LINE_ENDS, *_UNSEEN, "fromhtml", "fromtext", "htmlrtf", "htmltag"))


@dataclass(frozen=True, slots=True)
class Encapsulated:
    """What RTF encapsulates: its text, and whether this is HTML."""

    text: str
    is_html: bool


@dataclass(frozen=True, slots=True)
class _Frame:
    """Whether the text of a group counts: it may be no text, or stand in for HTML in programs that only know RTF."""

    is_dropped: bool = False
    is_only_rtf: bool = False


def encapsulated_text(content: bytes) -> Encapsulated | None:
    """Return what RTF encapsulates, None if it is RTF of its own.

    Raises:
        DocumentError: its groups are nested too deeply.
    """
    pieces: list[str] = []
    kind = ""
    frame, stack = _Frame(), list[_Frame]()
    for event in events(content, _WORDS):
        if event.text or event.word in _LINE_ENDS:
            if not kind:
                if not frame.is_dropped and event.text.strip():
                    return None
            elif not frame.is_dropped and not frame.is_only_rtf:
                pieces.append(event.text or _LINE_ENDS[event.word])  # text between tags is written as in HTML
        elif event.border == "{":
            stack.append(frame)
        elif event.border:
            frame = stack.pop() if stack else frame
        elif event.word in {"fromhtml", "fromtext"}:
            kind = kind or event.word
        else:
            frame = _changed(frame, event)
    return Encapsulated("".join(pieces), kind == "fromhtml") if kind else None


def _changed(frame: _Frame, event: Event) -> _Frame:
    if event.word == "htmlrtf":
        return replace(frame, is_only_rtf=event.number != 0)
    if event.word == "htmltag" and not frame.is_dropped:
        return _Frame()
    return replace(frame, is_dropped=True)
