"""Find out what of a mail is its text, and what is attached to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from echo_index.errors import DocumentError
from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.readers.html.reader import read_html
from echo_index.indexer.documents.readers.mail.entity import Entity
from echo_index.indexer.documents.readers.mail.plain_text import plain_text

_MAX_DEPTH = 30  # of multiparts within each other
_MORE_IN_HTML = 4  # times the length of the plain text, which then only says that there is HTML
ENCRYPTED = {"application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted"}
"""Types of parts that are encrypted, or signed as a whole."""
_SIGNATURES = {"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"}
NOT_FOR_PEOPLE = _SIGNATURES | {"application/applefile", "application/pgp-keys"}
"""Types of parts that only programs read."""


@dataclass(slots=True)
class Contents:
    """The texts of a mail as documents, what is attached, and phrases for what is not read."""

    texts: list[Document] = field(default_factory=list)
    attachments: list[Entity] = field(default_factory=list)
    omissions: list[str] = field(default_factory=list)


def read_contents(mail: Entity) -> Contents:
    """Return the texts and the attachments of a mail, in their order. Of alternatives, one is read."""
    contents = Contents()
    _add(contents, mail, depth=0)
    return contents


def _add(contents: Contents, entity: Entity, *, depth: int) -> None:
    kind = entity.header.content_type
    if kind == "multipart/encrypted" or kind in ENCRYPTED:
        _add_encrypted(contents, entity)
    elif entity.is_multipart:
        _add_parts(contents, entity, depth=depth)
    elif kind in NOT_FOR_PEOPLE:
        return
    elif _is_text(entity):
        if document := _read_text(contents, entity):
            contents.texts.append(document)
    else:
        contents.attachments.append(entity)


def _add_encrypted(contents: Contents, entity: Entity) -> None:
    is_signed = entity.header.parameter("smime-type").lower() == "signed-data"
    contents.omissions.append("text inside an S/MIME signature" if is_signed else "encrypted text")


def _add_parts(contents: Contents, entity: Entity, *, depth: int) -> None:
    if depth == _MAX_DEPTH:
        contents.omissions.append(f"parts more than {_MAX_DEPTH} levels deep")
        return
    parts = entity.parts()
    kind = entity.header.content_type
    if kind == "multipart/alternative":
        _add_alternatives(contents, parts, depth=depth)
        return
    if kind == "multipart/signed":
        parts = [
            part for number, part in enumerate(parts) if number == 0 or part.header.content_type not in _SIGNATURES
        ]
    for part in parts:
        if kind != "multipart/related" or not _is_picture_in_page(part):
            _add(contents, part, depth=depth + 1)


def _add_alternatives(contents: Contents, parts: Sequence[Entity], *, depth: int) -> None:
    """Add one of the alternatives. Attachments are taken from all."""
    read = []
    for part in parts:
        inside = Contents()
        _add(inside, part, depth=depth + 1)
        contents.omissions += inside.omissions
        contents.attachments += [each for each in inside.attachments if not _is_invitation(each)]
        if inside.texts:
            read.append(inside.texts)
    contents.texts += chosen_alternative(read)


def chosen_alternative(alternatives: Sequence[list[Document]]) -> list[Document]:
    """Return the plain text, or another alternative, such as a page of HTML, if it says much more."""
    if not alternatives:
        return []
    lengths = [sum(len(text.text) for text in texts) for texts in alternatives]
    plain = next((number for number, texts in enumerate(alternatives) if texts[0].format == "text"), 0)
    longest = lengths.index(max(lengths))
    return alternatives[longest if lengths[longest] > _MORE_IN_HTML * lengths[plain] else plain]


def _is_text(entity: Entity) -> bool:
    header = entity.header
    is_shown = not header.is_attachment and header.content_type in {"text/plain", "text/html", "text/enriched"}
    return is_shown and (not header.file_name or header.content_type == "text/html")


def _is_picture_in_page(entity: Entity) -> bool:
    return entity.header.content_type.startswith("image/") and not entity.header.is_attachment


def _is_invitation(entity: Entity) -> bool:
    """Return whether an alternative is for calendars: the text says the same."""
    return entity.header.content_type == "text/calendar" and not entity.header.file_name


def _read_text(contents: Contents, entity: Entity) -> Document | None:
    try:
        text = entity.text()
    except DocumentError:
        contents.omissions.append("a text that cannot be decoded")
        return None
    if entity.header.content_type == "text/html":
        document = read_html(text.encode("utf-8", "replace"))
    else:
        is_flowed = entity.header.parameter("format").lower() == "flowed"
        deletes_spaces = entity.header.parameter("delsp").lower() == "yes"
        read = plain_text(text, is_flowed=is_flowed, deletes_spaces=deletes_spaces)
        contents.omissions += ["encrypted text"] if read.has_encrypted else []
        document = Document(text=read.text, title="", format="text")
    return document if document.text.strip() else None
