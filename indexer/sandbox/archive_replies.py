"""In the child process: reply with the members of an archive, and unpack one of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from echo_index.errors import DocumentError
from echo_index.indexer.archives.member_names import SEPARATOR
from echo_index.indexer.archives.members import Member, MemberWalk
from echo_index.indexer.archives.packed_file import ArchiveLimits
from echo_index.indexer.sandbox.protocol import Message
from echo_index.indexer.sources.member_patterns import MemberPatterns
from echo_index.indexer.storage.safe_open import found_file

Parse = Callable[[bytes, PurePosixPath, int], Message]
"""Returns the reply with the document that some bytes are, given its path and its greatest length."""

_BLOCK_BYTES = 2**20


def archive_replies(request: Message, *, parse: Parse) -> Iterator[Message]:
    """Yield hash, size and time of an archive, then its members from number `start` on, unless the hash is known.

    The name and hash of a member come first, then its document, unless that hash is known, too.
    """
    path, limits = Path(request["path"]), ArchiveLimits(member_bytes=request["file_bytes"])
    try:
        with found_file(path, max_bytes=limits.archive_bytes, real_path=request["real_path"]) as (file, status):
            hash = _hash(file)
            is_known = hash == request["known_hash"]
            yield {"hash": hash, "size": status.st_size, "modified_ns": status.st_mtime_ns, "last": is_known}
            if not is_known:
                walk = MemberWalk(_patterns(request["patterns"]), limits, ocr=request["ocr"])
                members = walk.members(file, path.name, size=status.st_size)
                yield from _member_replies(members, request, parse)
                yield {"omissions": walk.omissions, "last": True}
    except FileNotFoundError:
        yield {"gone": True, "last": True}
    except DocumentError as error:
        yield {**_failure(error), "last": True}


def _member_replies(members: Iterator[Member], request: Message, parse: Parse) -> Iterator[Message]:
    known_hashes = dict(request["known_members"])
    for number, member in enumerate(members):
        known_hash = known_hashes.pop(member.path, None)  # a second file with this path replaces the first one
        if number < request["start"]:
            continue
        if member.skipped:
            yield {"member": member.path, "skipped": member.skipped, "last": False}
            continue
        hash = hashlib.sha256(member.content).hexdigest() if member.failure is None else ""
        yield {"member": member.path, "member_hash": hash, "last": False}
        if member.failure:
            yield {**_failure(member.failure), "last": False}
        elif hash == known_hash:
            yield {"is_known": True, "last": False}
        else:
            reply = parse(member.content, PurePosixPath(member.path), request["characters"])
            yield {**reply, "last": False}


def member_content(path: Path, member: str, *, max_bytes: int, hash: str) -> bytes:
    """Return the content of the member of an archive that has this path and hash; empty if there is none.

    Raises:
        DocumentError: the archive cannot be read, or is larger than `max_bytes`.
        FileNotFoundError: there is no such archive.
    """
    with found_file(path, max_bytes=max_bytes) as (file, status):
        for found in MemberWalk(_OneMember(member)).members(file, path.name, size=status.st_size):
            if hashlib.sha256(found.content).hexdigest() == hash:
                return found.content
    return b""


@dataclass(frozen=True, slots=True)
class _OneMember:
    path: str

    def takes(self, path: str) -> bool:
        return path == self.path

    def enters(self, path: str) -> bool:
        return self.path.startswith(path + SEPARATOR)


def _patterns(fields: Message) -> MemberPatterns:
    return MemberPatterns(**{**fields, "left_out": frozenset(fields["left_out"])})


def _hash(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := file.read(_BLOCK_BYTES):
        digest.update(block)
    file.seek(0)
    return digest.hexdigest()


def _failure(error: DocumentError) -> Message:
    return {"message": error.message, "remedy": error.remedy}
