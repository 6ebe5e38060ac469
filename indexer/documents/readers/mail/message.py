"""A mail as a person sees it, in whatever format it is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from echo_index.indexer.documents.document import Document

SHOWN_FIELDS = ("From", "To", "Cc", "Date")


@dataclass(frozen=True, slots=True)
class Attachment:
    """What is attached to a mail: the name of its file, the type of its content in lower case, and the content.

    The name and the type may be empty. `mail` is for a mail that is kept in the format of the one around it. Both
    functions raise a DocumentError if there is nothing that can be read.
    """

    name: str
    kind: str
    content: Callable[[], bytes]
    mail: Callable[[], Mail] | None = None


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail: its subject, the shown fields of its header, its texts, and phrases for what is not read."""

    subject: str
    fields: dict[str, str]
    texts: list[Document] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    omissions: list[str] = field(default_factory=list)
