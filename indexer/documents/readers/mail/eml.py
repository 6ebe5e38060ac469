"""Read a mail as it is sent (EML)."""

from __future__ import annotations

from functools import partial

from echo_index.errors import DocumentError
from echo_index.indexer.documents.readers.mail.contents import read_contents
from echo_index.indexer.documents.readers.mail.entity import Entity, parse_entity
from echo_index.indexer.documents.readers.mail.message import SHOWN_FIELDS, Attachment, Mail


def parse_eml(source: bytes) -> Mail:
    """Return the mail with this source.

    Raises:
        DocumentError: it does not begin with the header of a mail.
    """
    entity = parse_entity(source.lstrip(b"\r\n"))
    header = entity.header
    if not header.fields:
        raise DocumentError("It is not a mail: it does not begin with the header of one.")
    contents = read_contents(entity)
    return Mail(
        header.field("subject"),
        {name: header.field(name.lower()) for name in SHOWN_FIELDS},
        contents.texts,
        [attachment_of(each) for each in contents.attachments],
        contents.omissions,
    )


def attachment_of(entity: Entity) -> Attachment:
    """Return an entity as an attachment."""
    return Attachment(entity.header.file_name, entity.header.content_type, partial(_content, entity))


def _content(entity: Entity) -> bytes:
    """Return the content, in UTF-8 if it is a text of which the encoding is said.

    Raises:
        DocumentError: it is said to be a text and is none.
    """
    header = entity.header
    if header.content_type.startswith("text/") and header.parameter("charset"):
        return entity.text().encode("utf-8", "replace")
    return entity.content()
