"""What is sent through the cluster: files to read, the settings of the work, and what came of it."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from echo_index.embeddings.runtime.devices import DeviceChoice
from echo_index.errors import EchoIndexError, EngineError
from echo_index.indexer.building.pending_files import PendingFile
from echo_index.indexer.catalog.records import DocumentRow
from echo_index.indexer.distributed.part_table import WorkedDocument
from echo_index.indexer.documents.chunking import Chunking

if TYPE_CHECKING:  # it loads torch, which readers of files do without
    from echo_index.embeddings.encoder_config import EncoderConfig

PART_FORMAT = 1
"""Of parts; incremented when those of an earlier version are of no use."""

_GROUP_FILES = 32
_GROUP_CHUNKS = 256
_GROUP_BYTES = 2**18  # a minute on a few cores


@dataclass(frozen=True, slots=True)
class WorkSettings:
    """All that decides about the result of reading, cutting and embedding a file, and where it is written.

    `fingerprint` is that of the encoder, `readers` the version of the readers. With `classical`, classical vectors are
    stored, too. `parts` is the folder of the parts, `device` that of the encoder.
    """

    encoder: EncoderConfig
    fingerprint: str
    chunking: Chunking
    context: str
    readers: str
    ocr: bool
    classical: bool
    parts: str
    device: DeviceChoice

    @property
    def dimension(self) -> int:
        """The number of components of a vector."""
        return int(self.encoder["dimension"] or 0)

    def key(self) -> str:
        """Return the SHA-256 of all that decides about the result, in hexadecimal."""
        facts = [PART_FORMAT, self.fingerprint, asdict(self.chunking), self.context]
        facts += [self.readers, self.ocr, self.classical]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def document_key(self, hash: str, file_name: str) -> str:
        """Return the key of a document: its content, its name, which tells its format, and these settings."""
        return hashlib.sha256("\0".join((self.key(), hash, file_name)).encode("utf-8", "replace")).hexdigest()


State = Literal["part", "empty", "failed", "unchanged", "archive", "missing", "out of reach", "embedded"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a file, by its stored path; size and time are those that it had before it was read.

    It is in a part under a key; or it is empty and has only a row; or it could not be read, or has the known hash; or
    it is an archive, whose members are in parts; or the node has no such file, or cannot fetch it from its address. A
    document of the catalog is only embedded.
    """

    path: str
    state: State
    size: int = 0
    modified_ns: int = 0
    hash: str = ""
    key: str = ""
    row: DocumentRow | None = None
    failure: str = ""
    node: str = ""


@dataclass(frozen=True, slots=True)
class WorkItem:
    """Documents to embed and write as one part, and what is known of files as soon as that is done.

    `trouble` is why a node cannot work; it ends the build.
    """

    documents: Sequence[WorkedDocument] = ()
    outcomes: Sequence[Outcome] = ()
    trouble: EchoIndexError | None = None


Piece = PendingFile | WorkedDocument
"""A file to read, or a document of the catalog whose chunks lack vectors."""


def groups(pieces: Sequence[Piece], *, at_least: int) -> Iterator[list[Piece]]:
    """Yield pieces in groups of about equal work, in their order: as much is lost with a node.

    There are about `at_least` groups if there is work enough, so that all workers have some.
    """
    shares = [_share(piece) for piece in pieces]
    largest = min(1.0, sum(shares) / at_least)
    group: list[Piece] = []
    size = 0.0
    for piece, share in zip(pieces, shares, strict=True):
        if group and size + share > largest:
            yield group
            group, size = [], 0
        group.append(piece)
        size += share
    if group:
        yield group


def _share(piece: Piece) -> float:
    """Return the part of a group that a piece is; also an empty file has to be opened."""
    if isinstance(piece, WorkedDocument):
        return len(piece.chunks) / _GROUP_CHUNKS
    return piece.file.size / _GROUP_BYTES + 1 / _GROUP_FILES


def trouble(error: Exception) -> EchoIndexError:
    """Return why this node cannot work, given the error that it met."""
    where = f"On the node {platform.node()}: "
    if isinstance(error, EngineError):
        return error
    if isinstance(error, EchoIndexError):
        return EngineError(where + error.message, remedy=error.remedy)
    return EngineError(f"{where}{type(error).__name__}: {error}")
