"""Mails as Outlook saves them, written byte by byte (MS-CFB, MS-OXMSG)."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

Tree = dict[str, Any]
"""A storage: streams as bytes, and storages, by their names."""

_SECTOR = 512
_MIN_LARGE = 4096
_END, _TABLE, _FREE = 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFF
_RIGHT, _CHILD = 2, 3  # links of an entry to others
_STORAGE, _STREAM, _ROOT = 1, 2, 5
_EPOCH = datetime(1601, 1, 1, tzinfo=timezone.utc)


class EightBit(bytes):
    """A text that is not in Unicode."""


class _Sectors:
    """The sectors of one size, and the table that chains them."""

    def __init__(self, size: int) -> None:
        self.size, self.content, self.table = size, b"", list[int]()

    def store(self, content: bytes) -> int:
        """Add content, and return the number of its first sector."""
        if not content:
            return _END
        first, count = len(self.table), -(-len(content) // self.size)
        self.content += content.ljust(count * self.size, b"\0")
        self.table += [*range(first + 1, first + count), _END]
        return first


def compound_file(tree: Tree) -> bytes:
    """Return a compound file. Streams of less than 4,096 bytes are in sectors of 64 bytes."""
    entries: list[list[Any]] = []
    large, small = _Sectors(_SECTOR), _Sectors(64)

    def add(name: str, node: bytes | Tree, kind: int) -> int:
        """Add an entry with those in it; its neighbours are a chain."""
        index = len(entries)
        if isinstance(node, bytes):
            start = (small if len(node) < _MIN_LARGE else large).store(node)
            entries.append([name, kind, _FREE, _FREE, start, len(node)])
            return index
        entries.append([name, kind, _FREE, _FREE, 0, 0])
        previous, link = index, _CHILD
        for inner, content in node.items():
            at = add(inner, content, _STREAM if isinstance(content, bytes) else _STORAGE)
            entries[previous][link] = at
            previous, link = at, _RIGHT
        return index

    add("Root Entry", tree, _ROOT)
    entries[0][-2:] = large.store(small.content), len(small.content)
    small_table = large.store(_table(small.table))
    directory = large.store(b"".join(map(_entry, entries)))
    tables = 1
    while tables * _SECTOR // 4 < len(large.table) + tables:
        tables += 1
    first = len(large.table)
    header = struct.pack(
        "<8s16xHHHHH6xIIIIIIIII", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0x3E, 3, 0xFFFE, 9, 6, 0, tables, directory, 0,
        _MIN_LARGE, small_table, -(-4 * len(small.table) // _SECTOR), _END, 0,
    ) + struct.pack("<109I", *range(first, first + tables), *[_FREE] * (109 - tables))  # fmt: skip
    return header + large.content + _table([*large.table, *[_TABLE] * tables])


def _table(table: Sequence[int]) -> bytes:
    content = struct.pack(f"<{len(table)}I", *table)
    return content + b"\xff" * (-len(content) % _SECTOR)


def _entry(entry: Sequence[Any]) -> bytes:
    name, kind, right, child, start, size = entry
    text = name.encode("utf-16-le")
    return struct.pack("<64sHBBIII16xI16xIQ", text, len(text) + 2, kind, 1, _FREE, right, child, 0, start, size)


def storage(properties: Mapping[int, Any], *, header: int = 8) -> Tree:
    """Return a storage with properties: texts, bytes, numbers, times, and storages."""
    tree: Tree = {}
    fixed = bytes(header)
    for identifier, value in properties.items():
        if isinstance(value, int):
            fixed += struct.pack("<HHIQ", 0x0003, identifier, 6, value)
        elif isinstance(value, datetime):
            ticks = int((value - _EPOCH).total_seconds()) * 10_000_000
            fixed += struct.pack("<HHIQ", 0x0040, identifier, 6, ticks)
        else:
            kind = {str: 0x001F, EightBit: 0x001E, bytes: 0x0102, dict: 0x000D}[type(value)]
            content = value.encode("utf-16-le") if isinstance(value, str) else value
            tree[f"__substg1.0_{identifier:04X}{kind:04X}"] = bytes(content) if kind != 0x000D else content
    return {"__properties_version1.0": fixed, **tree}


def mail_storage(
    properties: Mapping[int, Any],
    *,
    recipients: Sequence[Mapping[int, Any]] = (),
    attachments: Sequence[Mapping[int, Any]] = (),
    header: int = 24,
) -> Tree:
    """Return a mail within a mail, or with a header of 32 bytes, one of its own."""
    return {
        **storage(properties, header=header),
        **{f"__recip_version1.0_#{number:08X}": storage(each) for number, each in enumerate(recipients)},
        **{f"__attach_version1.0_#{number:08X}": storage(each) for number, each in enumerate(attachments)},
    }


def msg_file(properties: Mapping[int, Any], **parts: Sequence[Mapping[int, Any]]) -> bytes:
    """Return a file of Outlook with the properties, recipients and attachments of a mail."""
    return compound_file(mail_storage(properties, header=32, **parts))
