"""Read a mail that Outlook saved (MSG).

The packages for this format are not used: python-oxmsg knows no mails within mails and fails at a property that is
missing, and extract-msg is under the GPL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.utils import format_datetime
from functools import partial

from echo_index.errors import DocumentError
from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.readers.failures import reported_as_unreadable
from echo_index.indexer.documents.readers.html.reader import read_html
from echo_index.indexer.documents.readers.mail.compound import Storage, open_compound
from echo_index.indexer.documents.readers.mail.contents import (
    ENCRYPTED,
    NOT_FOR_PEOPLE,
    chosen_alternative,
    read_contents,
)
from echo_index.indexer.documents.readers.mail.eml import attachment_of
from echo_index.indexer.documents.readers.mail.entity import parse_entity
from echo_index.indexer.documents.readers.mail.header import on_one_line, parse_header, plain_file_name
from echo_index.indexer.documents.readers.mail.message import SHOWN_FIELDS, Attachment, Mail
from echo_index.indexer.documents.readers.mail.plain_text import plain_text
from echo_index.indexer.documents.readers.mail.properties import Properties
from echo_index.indexer.documents.readers.rtf.compressed import decompress_rtf
from echo_index.indexer.documents.readers.rtf.encapsulated import encapsulated_text
from echo_index.indexer.documents.readers.rtf.reader import read_rtf

_SUBJECT, _HEADER, _SENT, _DELIVERED = 0x0037, 0x007D, 0x0039, 0x0E06
_BODY, _RTF, _HTML = 0x1000, 0x1009, 0x1013
_SENDERS = ((0x0042, 0x5D02, 0x0065), (0x0C1A, 0x5D01, 0x0C1F))  # name, address of the internet, any address
_RECIPIENT = (0x3001, 0x39FE, 0x3003)
_RECIPIENT_KIND, _NAMED_RECIPIENTS = 0x0C15, {"To": (1, 0x0E04), "Cc": (2, 0x0E03)}
_DATA, _LONG_NAME, _NAME, _TITLE, _KIND, _CONTENT_ID = 0x3701, 0x3707, 0x3704, 0x3001, 0x370E, 0x3712
_FLAGS, _HIDDEN = 0x3714, 0x7FFE
_IN_PAGE = 4  # the flag of pictures in a page
_PICTURE = re.compile(r".*\.(?:png|jpe?g|gif|bmp|tiff?|svg|wmf|emf|webp)", re.IGNORECASE)
_NO_FIELD = re.compile(r"Microsoft Mail Internet Headers[^\n]*\n")
_TOP, _WITHIN, _PART = 32, 24, 8  # the size of the header of the properties of a mail, one within it, and a part
_MAX_RECIPIENTS = 10_000
_MAX_ATTACHMENTS = 10_000


def parse_msg(content: bytes) -> Mail:
    """Return the mail in a file of Outlook.

    Raises:
        DocumentError: it is not such a file, or broken.
    """
    with reported_as_unreadable("MSG"):
        return _mail(open_compound(content), header=_TOP)


def _mail(storage: Storage, *, header: int) -> Mail:
    properties = Properties(storage, header=header)
    page = properties.page(_HTML)
    mail = Mail(on_one_line(properties.text(_SUBJECT)), _fields(storage, properties))
    _add_texts(mail, properties, page)
    for number, part in enumerate(storage.storages("__attach_version1.0_")):
        if number == _MAX_ATTACHMENTS:
            mail.omissions.append(f"attachments after the first {_MAX_ATTACHMENTS:,}")
            break
        _add_attachment(mail, Properties(part, header=_PART, code_page=properties.code_page), page)
    return mail


def _fields(storage: Storage, properties: Properties) -> dict[str, str]:
    """Return the shown fields: as they were sent, else as Outlook keeps them."""
    sent = parse_header(_NO_FIELD.sub("", properties.text(_HEADER), count=1).encode("utf-8", "replace"))
    kept = {"From": next(filter(None, (_person(properties, each) for each in _SENDERS)), "")}
    kept.update(_recipients(storage, properties))
    date = properties.time(_SENT) or properties.time(_DELIVERED)
    kept["Date"] = format_datetime(date) if date else ""
    return {name: sent.field(name.lower()) or kept[name] for name in SHOWN_FIELDS}


def _recipients(storage: Storage, properties: Properties) -> Iterator[tuple[str, str]]:
    people: dict[int | None, list[str]] = {}
    for _, part in zip(range(_MAX_RECIPIENTS), storage.storages("__recip_version1.0_"), strict=False):
        recipient = Properties(part, header=_PART, code_page=properties.code_page)
        people.setdefault(recipient.number(_RECIPIENT_KIND), []).append(_person(recipient, _RECIPIENT))
    for name, (kind, names) in _NAMED_RECIPIENTS.items():
        yield name, ", ".join(filter(None, people.get(kind, []))) or on_one_line(properties.text(names))


def _person(properties: Properties, identifiers: tuple[int, int, int]) -> str:
    """Return a person as a header names one: `Ann <ann@example.org>`. Addresses within a company are left out."""
    name, address, other = (on_one_line(properties.text(identifier)) for identifier in identifiers)
    name = name.strip("'")
    address = address or (other if "@" in other else "")
    return f"{name} <{address}>" if name and address and name != address else name or address


def _add_texts(mail: Mail, properties: Properties, page: str) -> None:
    read = plain_text(properties.text(_BODY), is_flowed=False, deletes_spaces=False)
    mail.omissions.extend(["encrypted text"] if read.has_encrypted else [])
    texts = [Document(text=read.text, title="", format="text")]
    if page.strip():
        texts.append(read_html(page.encode("utf-8", "replace")))
    elif compressed := properties.binary(_RTF):
        try:
            texts.append(_read_rtf(compressed))
        except DocumentError:
            mail.omissions.append("a text that cannot be decoded")
    mail.texts.extend(chosen_alternative([[text] for text in texts if text.text.strip()]))


def _read_rtf(compressed: bytes) -> Document:
    content = decompress_rtf(compressed)
    inside = encapsulated_text(content)
    if inside is None:
        return read_rtf(content)
    if inside.is_html:
        return read_html(inside.text.encode("utf-8", "replace"))
    return Document(text=inside.text.strip("\n"), title="", format="text")


def _add_attachment(mail: Mail, properties: Properties, page: str) -> None:
    kind = on_one_line(properties.text(_KIND)).lower()
    if kind in ENCRYPTED:
        mail.omissions.append("encrypted text")
    elif kind == "multipart/signed":  # all of the mail, as it was sent
        contents = read_contents(parse_entity(properties.binary(_DATA) or b""))
        mail.texts.extend([] if mail.texts else contents.texts)
        mail.attachments.extend(map(attachment_of, contents.attachments))
        mail.omissions.extend(contents.omissions)
    elif kind not in NOT_FOR_PEOPLE and not properties.number(_HIDDEN):
        names = (plain_file_name(properties.text(identifier)) for identifier in (_LONG_NAME, _NAME, _TITLE))
        name = next(filter(None, names), "")
        if not _is_in_page(properties, kind, name, page):
            inner = properties.storage(_DATA)
            is_mail = inner is not None and inner.stream("__properties_version1.0") is not None
            within = partial(_mail, inner, header=_WITHIN) if inner is not None and is_mail else None
            mail.attachments.append(Attachment(name, kind, partial(_content, properties), within))


def _is_in_page(properties: Properties, kind: str, name: str, page: str) -> bool:
    """Return whether an attachment is a picture that the page shows."""
    if not kind.startswith("image/") and not _PICTURE.fullmatch(name):
        return False
    content_id = properties.text(_CONTENT_ID).strip("<>")
    return bool((properties.number(_FLAGS) or 0) & _IN_PAGE or (content_id and f"cid:{content_id}" in page))


def _content(properties: Properties) -> bytes:
    """Return the content of an attached file.

    Raises:
        DocumentError: the mail only refers to it, or it is an object of another program.
    """
    content = properties.binary(_DATA)
    if content is None:
        raise DocumentError("It is not in the mail.")
    return content
