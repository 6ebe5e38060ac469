"""Tell from what a driver says of a file whether it has changed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from stat import S_IFREG
from typing import Any

from echo_index.indexer.storage.file_times import SECOND_NS

_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified", "modificationTime", "created")
_VERSIONS = ("generation", "ETag", "etag", "VersionId", "md5Hash", "content_md5", "md5", "blob_id", "sha", "checksum")
_MILLISECONDS = 1e11  # as seconds, the year 5138
_LATEST = 4_102_444_800  # seconds: the year 2100, which all file systems can store
_STEP_NS = 1_000  # which all file systems can store, too
_STEPS = SECOND_NS // _STEP_NS


@dataclass(frozen=True, slots=True)
class RemoteStatus:
    """The status of a file at an address, see `modified_ns`."""

    st_size: int
    st_mtime_ns: int
    st_mode: int = S_IFREG

    @property
    def st_ctime_ns(self) -> int:
        """The same: nobody knows when anything else of the file has changed."""
        return self.st_mtime_ns


def remote_status(info: Mapping[str, Any]) -> RemoteStatus:
    """Return the status of a file; one of unknown size counts as not empty."""
    size = info.get("size")
    return RemoteStatus(size if isinstance(size, int) else 1, modified_ns(info))


def modified_ns(info: Mapping[str, Any]) -> int:
    """Return the time of a file in nanoseconds, in which the version is the part below a second, if there is one.

    Object stores know the time by seconds, and two versions may be of the same. A file without a time gets one in the
    first second of 1970. Without a version, too, it is the present time, so that it never is the same as before.
    """
    seconds = next((found for name in _TIMES if (found := _seconds(info.get(name))) is not None), None)
    version = next((str(found) for name in _VERSIONS if (found := info.get(name))), "")
    if version:
        digest = int.from_bytes(hashlib.sha256(f"{version} {seconds}".encode()).digest()[:8], "big")
        return int(seconds or 0) * SECOND_NS + (1 + digest % (_STEPS - 1)) * _STEP_NS
    steps = int((time.time() if seconds is None else seconds) * _STEPS)
    return steps * _STEP_NS


def _seconds(value: object) -> float | None:
    """Return a time as seconds since 1970, None if it is none."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            return None
    if isinstance(value, datetime):
        value = (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).timestamp()
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    value = value / 1000 if value > _MILLISECONDS else value
    return float(value) if 1 <= value < _LATEST else None
