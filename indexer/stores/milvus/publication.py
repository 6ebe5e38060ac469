"""Publish a generation to Milvus: only what differs from the one that is there, visible at once when it is complete.

Rows are written once and not changed: a passage has the number of the first head that has it, which hides it from
readers of earlier ones, and the new head names the documents that are gone. Their rows are deleted after the
publication that follows, when nobody reads the generation that had them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from echo_index.errors import StoreError
from echo_index.indexer.stores.corpus import Corpus, PublicationReport, PublishedDocument
from echo_index.indexer.stores.location import StoreLocation
from echo_index.indexer.stores.milvus.connection import MilvusConnection, Row
from echo_index.indexer.stores.milvus.heads import (
    Head,
    HeadContent,
    begin_documents,
    begun_documents,
    delete_heads,
    end_publication,
    read_content,
    read_heads,
    write_head,
)
from echo_index.indexer.stores.milvus.layout import (
    KEY_LENGTH,
    Edition,
    create_collections,
    create_control,
    new_edition,
)
from echo_index.indexer.stores.milvus.rows import (
    document_digest,
    document_key,
    document_values_row,
    in_list,
    passage_row,
)

if TYPE_CHECKING:
    from echo_index.embeddings.vectors.vector_ops import Vectors

T = TypeVar("T")
OnPublished = Callable[[int, int], None]
"""Receives the number of passages that were written, and of all that have to be."""

_GROUP = 2000  # passages whose documents are written together
_ROWS = 256  # passages in one message: Milvus accepts 64 MB
_KEYS = 1000  # in one condition


def validate_owner(
    connection: MilvusConnection, location: StoreLocation, owner: str, *, replace: bool = False
) -> Head | None:
    """Return the newest head of an index in a store, or None if there is none.

    Raises:
        StoreError: another index was published there, and `replace` is false.
    """
    if not connection.has(location.name):
        return None
    head = next(iter(read_heads(connection, location.name)), None)
    if head is not None and head.owner != owner and not replace:
        raise StoreError(
            f"{location} holds another index.",
            remedy=f"Choose another name for this one, such as {StoreLocation(location.uri, 'notes')}, or replace "
            "what is there: echo-index build --rebuild",
        )
    return head


def publish(
    connection: MilvusConnection,
    location: StoreLocation,
    corpus: Corpus,
    *,
    replace: bool = False,
    on_published: OnPublished = lambda done, total: None,
) -> PublicationReport | None:
    """Publish a generation, or return None if it is there already; with `replace`, also over that of another index.

    If it is interrupted, readers see the generation before, and the next call continues where it stopped.

    Raises:
        StoreError: the server cannot be reached, refuses something, or holds another index.
    """
    name = location.name
    before = validate_owner(connection, location, corpus.owner, replace=replace)
    create_control(connection, name)
    if before is not None and before.edition.key == corpus.edition and before.edition.name == name:
        edition = before.edition
    else:
        manifest = corpus.manifest
        edition = new_edition(name, corpus.edition, connection, passages=manifest.chunks)
    wanted = {document_key(document): document for document in corpus.documents()}
    create_collections(connection, edition, dimension=corpus.manifest.normalizations.echo.dimension)
    changes = _changes(connection, edition, wanted, before)
    if before is not None and before.edition == edition and changes.is_nothing and _is_same(connection, before, corpus):
        return None
    _delete(connection, edition, changes.unseen)
    number = 1 if before is None else before.number + 1
    written = _write(connection, edition, corpus, changes.new, number=number, on_published=on_published)
    touched = (document_values_row(wanted[key], added=added) for key, added in changes.touched.items())
    for rows in _batches(touched, _ROWS):
        connection.insert(edition.documents, rows, replace=True)
    content = HeadContent(corpus.manifest, corpus.facts(), tuple(sorted(changes.gone)))
    write_head(connection, edition, content, owner=corpus.owner, number=number, oldest=max(1, number - 1))
    end_publication(connection, name)
    _tidy(connection, edition, number, changes.forgotten)
    return PublicationReport(str(location), len(changes.new), written, len(changes.gone - changes.forgotten))


@dataclass(frozen=True, slots=True)
class _Changes:
    """By the keys of documents: those to write, those of which only facts differ, and those that are gone.

    `touched` has the number of the first head with each. `forgotten` are those of `gone` that the head before does not
    have either. Of `unseen`, what is there must go before others are written: no reader of the head before sees them.
    """

    new: list[PublishedDocument]
    touched: dict[int, int]
    gone: set[int]
    forgotten: set[int]
    unseen: set[int]

    @property
    def is_nothing(self) -> bool:
        return not (self.new or self.touched or self.gone - self.forgotten or self.unseen)


def _changes(
    connection: MilvusConnection, edition: Edition, wanted: Mapping[int, PublishedDocument], before: Head | None
) -> _Changes:
    """Compare the documents of a generation with the rows that are there."""
    visible = before if before is not None and before.edition == edition else None
    hidden = {*_content(connection, visible).hidden} if visible is not None else set[int]()
    there: set[int] = set()
    touched: dict[int, int] = {}
    gone, unseen = set[int](), set[int]()
    for row in connection.stream(edition.documents, "id >= 0", ["id", "added", "digest"]):
        key = int(row["id"])
        if key in wanted and key in hidden:  # it is back, and its rows may have been deleted in part
            unseen.add(key)
            continue
        there.add(key)
        if key in wanted:
            if row["digest"] != document_digest(wanted[key]):
                touched[key] = int(row["added"])
        elif visible is None or int(row["added"]) > visible.number:
            unseen.add(key)
        else:
            gone.add(key)
    unseen |= {*begun_documents(connection, edition.name)} - there  # of which some passages may have been written
    new = [document for key, document in wanted.items() if key not in there]
    return _Changes(new, touched, gone, gone & hidden, unseen)


def _content(connection: MilvusConnection, head: Head) -> HeadContent:
    return read_content(connection, head.edition.name, head, place=Path(head.edition.name))


def _is_same(connection: MilvusConnection, head: Head, corpus: Corpus) -> bool:
    """Return whether a head says all that a generation has to say."""
    content = _content(connection, head)
    return content.manifest == corpus.manifest and content.facts == corpus.facts()


def _write(
    connection: MilvusConnection,
    edition: Edition,
    corpus: Corpus,
    documents: Sequence[PublishedDocument],
    *,
    number: int,
    on_published: OnPublished,
) -> int:
    """Write documents with their passages, and return the number of passages.

    The row of a document comes after those of its passages, so that a document that is there is complete.
    """
    total = sum(document.passages for document in documents)
    done = 0
    on_published(done, total)
    for group in _groups(documents):
        begin_documents(connection, edition.name, [document_key(document) for document in group])
        for rows in _batches(_passage_rows(corpus, edition, group, number=number), _ROWS):
            connection.insert(edition.passages, rows)
            done += len(rows)
            on_published(done, total)
        for rows in _batches([document_values_row(document, added=number) for document in group], _ROWS):
            connection.insert(edition.documents, rows)
    return done


def _passage_rows(
    corpus: Corpus, edition: Edition, group: Sequence[PublishedDocument], *, number: int
) -> Iterator[Row]:
    """Yield the rows of the passages of some documents, with their normalized vectors."""
    normalization = corpus.manifest.normalizations.echo
    by_path = {document.row.path: document for document in group}
    positions = dict.fromkeys(by_path, 0)
    for block in corpus.passages([*by_path]):
        vectors: Vectors = normalization.normalize_documents(block.vectors)
        for row, chunk, vector in zip(block.documents, block.chunks, vectors, strict=True):
            document = by_path[row.path]
            positions[row.path] += 1
            passage = passage_row(
                document.row,
                chunk,
                key=document_key(document),
                number=positions[row.path],
                added=number,
                ranks_words=edition.ranks_words,
            )
            yield {**passage, "vector": vector}


def _tidy(connection: MilvusConnection, edition: Edition, number: int, forgotten: set[int]) -> None:
    """Delete what neither the head with this number nor the one before needs."""
    _delete(connection, edition, forgotten)
    delete_heads(connection, edition.name, before=number - 1)
    used = {head.edition for head in read_heads(connection, edition.name)}
    kept = {collection for each in used for collection in (each.passages, each.documents)}
    for collection in connection.names():
        is_own = collection.startswith(f"{edition.name}_") and collection.endswith(("_passages", "_documents"))
        key = collection.removeprefix(f"{edition.name}_").rpartition("_")[0]
        if is_own and len(key) == KEY_LENGTH and collection not in kept:
            connection.drop(collection)


def _delete(connection: MilvusConnection, edition: Edition, keys: Iterable[int]) -> None:
    """Delete documents with their passages; those of a document first, so that nothing is left of one that is gone."""
    for batch in _batches(sorted(keys), _KEYS):
        connection.delete(edition.passages, in_list("document", batch))
        connection.delete(edition.documents, in_list("id", batch))


def _groups(documents: Sequence[PublishedDocument]) -> Iterator[list[PublishedDocument]]:
    """Yield documents in groups with a limited number of passages."""
    group: list[PublishedDocument] = []
    passages = 0
    for document in documents:
        if group and (passages + document.passages > _GROUP or len(group) == _KEYS):
            yield group
            group, passages = [], 0
        group.append(document)
        passages += document.passages
    if group:
        yield group


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
