"""Read mail: one mail (EML, or MSG of Outlook) or a mailbox (MBOX), with what is attached. Nothing is fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from email.utils import getaddresses

from echo_index.errors import DocumentError
from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.fields import Field, collect_fields, iso_date
from echo_index.indexer.documents.readers.mail.eml import parse_eml
from echo_index.indexer.documents.readers.mail.history import History
from echo_index.indexer.documents.readers.mail.mailbox import split_mailbox
from echo_index.indexer.documents.readers.mail.message import Attachment, Mail
from echo_index.indexer.documents.readers.mail.outlook import parse_msg
from echo_index.indexer.documents.readers.office.package import OLE_MARK
from echo_index.indexer.documents.readers.parts import Parts
from echo_index.indexer.documents.readers.plain import read_text

ReadPart = Callable[[bytes, str], Document | None]
"""Reads a file within a file by its name; None if no reader takes it."""

_MAX_MAILS = 100_000
_MAX_PEOPLE = 10_000  # characters of their names and addresses
_MAX_DEPTH = 5  # of mails within mails
_MAX_OMISSIONS = 50
_NO_SUBJECT = "(no subject)"
_SUFFIXES = {  # for attachments whose name does not say what they are
    "text/html": ".html", "application/xhtml+xml": ".xhtml", "text/markdown": ".md", "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/json": ".json", "application/xml": ".xml",
    "message/delivery-status": ".txt", "message/disposition-notification": ".txt",
}  # fmt: skip


def read_mail(content: bytes, read_part: ReadPart) -> Document:
    """Return a mail: its subject, sender, receivers and date, its text, and its attachments.

    `read_part` reads an attachment, with the name of its file. The title is the subject. An attachment is a place,
    "attachment report.pdf, page 2".

    Raises:
        DocumentError: the content is not a mail.
    """
    return _read_one(parse_eml(content), read_part)


def read_msg(content: bytes, read_part: ReadPart) -> Document:
    """Return a mail that Outlook saved, like any other mail. What is no such file is read as plain text.

    Other programs describe messages in text files with the same suffix.

    Raises:
        DocumentError: the content is broken or binary.
    """
    return _read_one(parse_msg(content), read_part) if content.startswith(OLE_MARK) else read_text(content)


def read_mailbox(content: bytes, read_part: ReadPart) -> Document:
    """Return the mails of a mailbox one after the other; each is a place, "message 12", and its subject is a heading.

    What a mail quotes of an earlier one is left out.

    Raises:
        DocumentError: the content is not a mailbox.
    """
    reader = _Reader(read_part, history=History())
    count = 0
    for count, source in enumerate(split_mailbox(content), start=1):
        if count <= _MAX_MAILS:
            reader.add_mail(parse_eml(source), level=1, place=f"message {count}")
    if count > _MAX_MAILS:
        reader.parts.omissions.append(f"messages {_MAX_MAILS + 1:,} to {count:,}")
    return reader.document(title="")


def _read_one(mail: Mail, read_part: ReadPart) -> Document:
    reader = _Reader(read_part)
    reader.parts.add_place(0, "")
    reader.add_mail(mail, level=1, place="")
    return replace(reader.document(title=mail.subject), fields=_fields(mail))


def _fields(mail: Mail) -> tuple[Field, ...]:
    """Return who wrote a mail, to whom and when; each person is a value: `Ann <ann@example.org>`."""
    people = [(field.lower(), _people(mail.fields.get(field, ""))) for field in ("From", "To", "Cc")]
    return collect_fields([*people, ("author", people[0][1]), ("date", iso_date(mail.fields.get("Date", "")))])


def _people(value: str) -> list[str]:
    try:
        addresses = getaddresses([value[:_MAX_PEOPLE]])
    except RecursionError:  # comments within comments, as no person writes them
        return []
    return [f"{name} <{address}>" if name else address for name, address in addresses]


def _mail_within(attachment: Attachment) -> Mail | None:
    """Return an attached mail; None if the attachment is none.

    Raises:
        DocumentError: it should be one, and is not.
    """
    name = attachment.name.lower()
    if attachment.mail is not None:
        return attachment.mail()
    if attachment.kind == "message/rfc822" or name.endswith(".eml"):
        return parse_eml(attachment.content())
    if attachment.kind == "application/vnd.ms-outlook" or name.endswith(".msg"):
        return parse_msg(attachment.content())
    return None


@dataclass(slots=True)
class _Reader:
    """Adds mails to the parts of a document. With a history, known quotations are left out."""

    read_part: ReadPart
    history: History | None = None
    parts: Parts = field(default_factory=Parts)

    def document(self, *, title: str) -> Document:
        parts = self.parts
        is_one_place = all(not place.name for place in parts.places)
        return Document(
            text=parts.text(),
            title=title,
            format="mail",
            headings=tuple(parts.headings),
            tables=tuple(parts.tables),
            places=() if is_one_place else tuple(parts.places),
            omissions=tuple(self._omissions()),
            recognized=tuple(self.parts.recognized),
        )

    def add_mail(self, mail: Mail, *, level: int, place: str) -> None:
        """Add a mail with its attachments, its subject as a heading of this level."""
        parts = self.parts
        start = parts.add_heading(level, mail.subject or (_NO_SUBJECT if place else ""))
        if place:
            parts.add_place(start, place)
        parts.add("\n".join(f"{name}: {value}" for name, value in mail.fields.items() if value))
        for text in mail.texts:
            if self.history and text.format == "text":
                text = replace(text, text=self.history.without_known(text.text))
            if text.text.strip():
                parts.add_document(text, level=level)
        self._omit(*mail.omissions, place=place)
        for attachment in mail.attachments:
            self._add_attachment(attachment, level=level + 1, place=place)

    def _add_attachment(self, attachment: Attachment, *, level: int, place: str) -> None:
        phrase = f"attachment {attachment.name or attachment.kind}"
        try:
            mail = _mail_within(attachment)
        except DocumentError:
            self._omit(f"attachment {attachment.name or 'message'}", place=place)
            return
        if mail is not None:
            self._add_mail_within(mail, attachment.name, level=level, place=place)
            return
        try:
            document = self._read_attachment(attachment)
        except DocumentError as error:
            reason = error.message.rstrip(".")
            self._omit(f"{phrase} ({reason[:1].lower()}{reason[1:]})", place=place)
            return
        if document is None:
            self._omit(phrase, place=place)
            return
        inside = _joined(place, phrase)
        start = self.parts.add_heading(level, attachment.name or attachment.kind)
        self.parts.add_place(start, inside)
        self.parts.add_document(document, level=level, place=inside)
        self._omit(*document.omissions, place=inside)

    def _read_attachment(self, attachment: Attachment) -> Document | None:
        content, kind, name = attachment.content(), attachment.kind, attachment.name or attachment.kind
        document = self.read_part(content, name)
        suffix = _SUFFIXES.get(kind, ".txt" if kind.startswith("text/") else "")
        return self.read_part(content, f"{name}{suffix}") if document is None and suffix else document

    def _add_mail_within(self, mail: Mail, name: str, *, level: int, place: str) -> None:
        phrase = f"attachment {name or mail.subject or 'message'}"
        if level > _MAX_DEPTH:
            self._omit(phrase, place=place)
        else:
            self.add_mail(mail, level=level, place=_joined(place, phrase))

    def _omit(self, *phrases: str, place: str) -> None:
        self.parts.omissions += [f"{phrase} of {place}" if place else phrase for phrase in phrases]

    def _omissions(self) -> Iterator[str]:
        """Yield each phrase once, and how many more there are if they are too many to read."""
        phrases = [*dict.fromkeys(self.parts.omissions)]
        yield from phrases[:_MAX_OMISSIONS]
        if len(phrases) > _MAX_OMISSIONS:
            yield f"{len(phrases) - _MAX_OMISSIONS:,} more"


def _joined(place: str, name: str) -> str:
    return f"{place}, {name}" if place else name
