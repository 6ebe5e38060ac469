"""The generations that an index in Milvus has: the one that is read, and the one before.

A generation becomes visible with a single row, its head, which names its collections and everything else that a reader
needs of them. Milvus has no transactions and an alias stands for one collection only; one row is written at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from echo_index.errors import IndexDamaged, IndexMismatch
from echo_index.indexer.generations.manifest import Manifest
from echo_index.indexer.stores.corpus import CorpusFacts
from echo_index.indexer.stores.milvus.connection import MilvusConnection, Row
from echo_index.indexer.stores.milvus.layout import NO_VECTOR, Edition

FORMAT_VERSION = 1
_PIECE = 60_000  # characters of ASCII in a row
_BEGUN = "begun"  # the primary key of the row of `begin_documents`


@dataclass(frozen=True, slots=True)
class Head:
    """What tells of a generation that it is complete. Heads are numbered in the order in which they were published.

    `owner` is the index that it was published from. Readers of heads before `oldest` may miss rows that were deleted.
    """

    number: int
    owner: str
    edition: Edition
    generation: int
    oldest: int
    pieces: int
    checksum: str
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True, slots=True)
class HeadContent:
    """What belongs to a head: how the index was built, what is known of it, and the documents that are gone.

    `hidden` are the keys of documents whose rows are still there for readers of the head before.
    """

    manifest: Manifest
    facts: CorpusFacts
    hidden: tuple[int, ...]

    def as_text(self) -> str:
        """Return the content as JSON in ASCII."""
        parts = {"manifest": self.manifest.as_text(), "facts": self.facts.as_text(), "hidden": self.hidden}
        return json.dumps(parts)

    @classmethod
    def parse(cls, text: str, *, place: Path) -> HeadContent:
        """Parse the JSON of `as_text`; `place` is named in errors."""
        parts = json.loads(text)
        manifest = Manifest.parse(parts["manifest"], path=place / "manifest")
        return cls(manifest, CorpusFacts.parse(parts["facts"]), tuple(parts["hidden"]))


def read_heads(connection: MilvusConnection, name: str, *, fresh: bool = True) -> list[Head]:
    """Return the heads of an index, the newest first.

    Raises:
        IndexMismatch: a later version of echo-index has published it.
    """
    rows = connection.query(name, "part == 0 and number > 0", ["text"], fresh=fresh)
    heads = []
    for row in rows:
        fields = json.loads(row["text"])
        if fields["format_version"] > FORMAT_VERSION:
            raise IndexMismatch(
                f"The index {name} in Milvus has format {fields['format_version']}; this version of echo-index reads "
                f"formats up to {FORMAT_VERSION}.",
                remedy="Update echo-index.",
            )
        heads.append(Head(**{**fields, "edition": Edition(**fields["edition"])}))
    return sorted(heads, key=lambda head: -head.number)


def read_content(connection: MilvusConnection, name: str, head: Head, *, place: Path) -> HeadContent:
    """Return what belongs to a head; `place` is named in errors.

    Raises:
        IndexDamaged: it is not there or not whole.
    """
    rows = connection.query(name, f"number == {head.number} and part > 0", ["part", "text"])
    text = "".join(str(row["text"]) for row in sorted(rows, key=lambda row: int(row["part"])))
    if _checksum(text) != head.checksum:
        raise IndexDamaged(
            f"The index {name} in Milvus no longer holds what belongs to generation {head.generation}.",
            remedy="Publish it again, on the machine that builds it: echo-index build --rebuild",
        )
    return HeadContent.parse(text, place=place)


def write_head(
    connection: MilvusConnection,
    edition: Edition,
    content: HeadContent,
    *,
    owner: str,
    number: int,
    oldest: int,
) -> Head:
    """Make a generation visible to readers: first what belongs to its head, then the head itself."""
    text = content.as_text()
    pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
    head = Head(number, owner, edition, content.manifest.generation, oldest, len(pieces), _checksum(text))
    rows = [_row(number, part, piece) for part, piece in enumerate(pieces, start=1)]
    # A publication that was killed may have left more pieces of this number.
    connection.delete(edition.name, f"number == {number}")
    for row in rows:
        connection.insert(edition.name, [row], replace=True)
    connection.insert(edition.name, [_row(number, 0, json.dumps(asdict(head)))], replace=True)
    return head


def delete_heads(connection: MilvusConnection, name: str, *, before: int) -> None:
    """Delete the heads with lower numbers, and what belongs to them."""
    connection.delete(name, f"number > 0 and number < {before}")


def begun_documents(connection: MilvusConnection, name: str) -> list[int]:
    """Return the keys of the documents that a publication which did not end was about to write."""
    rows = connection.query(name, f'id == "{_BEGUN}"', ["text"])
    return [int(key) for row in rows for key in json.loads(row["text"])]


def begin_documents(connection: MilvusConnection, name: str, keys: Sequence[int]) -> None:
    """Note the keys of the documents that are written next, so that nothing of them is left if this is interrupted."""
    row = {"id": _BEGUN, "number": 0, "part": 0, "text": json.dumps([*keys]), "vector": NO_VECTOR}
    connection.insert(name, [row], replace=True)


def end_publication(connection: MilvusConnection, name: str) -> None:
    """Note that all documents are written."""
    connection.delete(name, f'id == "{_BEGUN}"')


def visible(head: Head, hidden: Sequence[int], *, document: str) -> str:
    """Return the condition that a row belongs to a head; `document` is the field with the key of its document."""
    condition = f"added <= {head.number}"
    return f"{condition} and {document} not in {json.dumps([*hidden])}" if hidden else condition


def _row(number: int, part: int, text: str) -> Row:
    return {"id": f"{number}:{part}", "number": number, "part": part, "text": text, "vector": NO_VECTOR}


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
