"""Open the drivers of fsspec, and say in words what goes wrong in them."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from echo_index.errors import EchoIndexError, MissingPackage, SourceError
from echo_index.indexer.sources.remote.address import printable
from echo_index.indexer.storage.urls import url_scheme

_LONGEST_REASON = 200  # characters
_OWN = ("fsspec", "")
_QUOTED = re.compile(r"\"([\w-]+)\"")  # names of packages in what fsspec says of a driver of its own


def load_fsspec() -> ModuleType:
    """Return the package fsspec.

    Raises:
        MissingPackage: it is not installed.
    """
    try:
        import fsspec
    except ImportError as error:
        raise MissingPackage(
            "fsspec, which opens addresses such as s3://bucket/folder and the places of parts, is not installed.",
            remedy="Install it: pip install 'echo-index[remote]'",
        ) from error
    return fsspec  # type: ignore[no-any-return]


def validate_driver(url: str) -> None:
    """Check that the driver for an address is installed. The network is not used.

    Raises:
        MissingPackage: fsspec or the driver is not installed.
        SourceError: there is no driver for such addresses.
    """
    fsspec, scheme = load_fsspec(), url_scheme(url)
    try:
        fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        from fsspec.registry import known_implementations

        known = known_implementations.get(scheme, {})
        package = str(known.get("class", "")).split(".")[0].replace("_", "-")
        reason = str(known.get("err") or error)
        packages = [package] if package not in _OWN else [*dict.fromkeys(_QUOTED.findall(reason))]
        hint = f"pip install {' '.join(packages)}" if packages else reason
        raise MissingPackage(
            f"The driver for {scheme}:// is not installed, which {url} needs.", remedy=f"Install it: {hint}"
        ) from None
    except ValueError:
        raise SourceError(
            f"There is no driver for {scheme}://, which {url} needs.",
            remedy="Names of drivers are s3, gs, hf, abfs, sftp and others of fsspec.",
        ) from None


def open_driver(url: str) -> tuple[Any, str]:
    """Return the file system of an address, and the name that the address has there.

    Raises:
        MissingPackage: fsspec or the driver is not installed.
        SourceError: there is no driver for such addresses.
        OSError: the driver cannot be set up, for example without credentials.
    """
    validate_driver(url)
    try:
        with driver_errors():
            files, name = load_fsspec().core.url_to_fs(url)
    except OSError as error:
        if isinstance(error.__cause__, TypeError):
            raise SourceError(
                f"The driver for {url_scheme(url)}:// needs to know more than {url} says.",
                remedy="Write what it needs into the configuration of fsspec: ~/.config/fsspec/conf.json",
            ) from None
        raise
    return files, str(name)


@contextmanager
def driver_errors() -> Iterator[None]:
    """Raise what a driver raises as an error of the operating system, whose reason is one short line.

    Errors of echo-index stay as they are.
    """
    try:
        yield
    except EchoIndexError:
        raise
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        if (cause := _cause(error)) is not None:
            raise OSError(errno.EIO, _reason(cause)) from error
        raise FileNotFoundError(errno.ENOENT, "no such file or directory") from error
    except PermissionError as error:
        raise PermissionError(errno.EACCES, _reason(error)) from error
    except Exception as error:
        raise OSError(errno.EIO, _reason(error)) from error


def _cause(error: BaseException) -> OSError | None:
    """Return why a driver that says that a file is gone does not know: some say so of one that they cannot reach."""
    cause = error.__cause__
    while cause is not None and (isinstance(cause, FileNotFoundError) or not isinstance(cause, OSError)):
        cause = cause.__cause__
    return cause


def _reason(error: BaseException) -> str:
    strerror = getattr(error, "strerror", None)
    lines = str(strerror or error).strip().splitlines() or [""]
    text = printable(lines[0].strip()).rstrip(".") or type(error).__name__
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}…"


def counting_callback(count: Callable[[int], None]) -> Any:
    """Return what a driver calls while it fetches a file: `count` receives how many bytes came, and may raise."""

    class Counting(load_fsspec().callbacks.Callback):  # type: ignore[misc]
        def relative_update(self, inc: int = 1) -> None:
            count(inc)

    return Counting()
