"""Read what Word imports into a document when it opens it: parts in HTML, plain text, RTF, or Word's own format."""

from __future__ import annotations

import email
import email.policy
import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field

from echo_index.errors import DocumentError
from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.readers.html.reader import read_html
from echo_index.indexer.documents.readers.office.package import Package
from echo_index.indexer.documents.readers.plain import read_text
from echo_index.indexer.documents.readers.rtf.reader import read_rtf

Reader = Callable[[bytes], Document]

_NAMES = {  # by the content type and by the suffix
    "text/html": "html", "application/xhtml+xml": "html", "html": "html", "htm": "html", "xhtml": "html",
    "text/plain": "text", "txt": "text",
    "message/rfc822": "mail", "multipart/related": "mail", "mht": "mail", "mhtml": "mail",
    "application/rtf": "rtf", "text/rtf": "rtf", "rtf": "rtf",
    "docx": "word", "docm": "word", "dotx": "word", "dotm": "word",
}  # fmt: skip
_WORD_TYPES = ("wordprocessingml", "ms-word")  # in all content types of documents and templates, with macros or without


@dataclass(slots=True)
class Imports:
    """The imported parts of a package, each read once. `read_word` reads a document of Word's own format."""

    package: Package
    read_word: Reader
    _seen: set[str] = field(default_factory=set)

    def read(self, part: str) -> Document | None:
        """Return an imported part, None if it is empty, was read before, or cannot be read.

        The package notes what cannot be read as an omission.
        """
        if part in self._seen:
            return None
        self._seen.add(part)
        content = self.package.bytes(part)
        name = self._format(part)
        reader = self._reader(name)
        if content is None or reader is None:
            self.package.omit("imported content")
            return None
        try:
            document = reader(content)
        except DocumentError:
            self.package.omit("imported content")
            return None
        for phrase in document.omissions:
            self.package.omit(phrase)
        return document

    def _format(self, part: str) -> str:
        declared = self.package.content_type(part).split(";")[0].strip()
        if any(word in declared for word in _WORD_TYPES):
            return "word"
        return _NAMES.get(declared) or _NAMES.get(posixpath.splitext(part)[1].removeprefix(".").lower(), "")

    def _reader(self, name: str) -> Reader | None:
        readers = {"html": read_html, "text": read_text, "mail": _read_mail, "rtf": read_rtf, "word": self.read_word}
        return readers.get(name)


def _read_mail(content: bytes) -> Document:
    """Return the first page of a web archive (MHTML).

    Raises:
        DocumentError: there is no page in it.
    """
    message = email.message_from_bytes(content, policy=email.policy.default)
    for part in message.walk():
        if part.get_content_type() in {"text/html", "text/plain"}:
            page = part.get_payload(decode=True)
            if isinstance(page, bytes):
                return read_html(page) if part.get_content_type() == "text/html" else read_text(page)
    raise DocumentError("There is no page in it.")
