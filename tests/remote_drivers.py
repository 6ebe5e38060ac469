"""A driver of fsspec whose files are in memory, and which fails or lies when it is told to."""

from __future__ import annotations

from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

SCHEME = "shelf"


class Shelf(MemoryFileSystem):
    """Files at `shelf://`, the same for all tests: `reset` empties it."""

    protocol = SCHEME
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    is_down: ClassVar[bool] = False
    """Whether nothing answers."""
    refused: ClassVar[dict[str, Exception]] = {}
    """What is raised for a file that is fetched, by its name."""
    listed: ClassVar[list[dict[str, Any]]] = []
    """What a listing has beside the files."""
    requests: ClassVar[list[str]] = []
    """What was asked for: a verb and a name."""

    @classmethod
    def reset(cls) -> None:
        """Forget everything."""
        cls.is_down = False
        for content in (cls.store, cls.refused, cls.listed, cls.requests):
            content.clear()

    @classmethod
    def _strip_protocol(cls, path: Any) -> str:
        return super()._strip_protocol(str(path).removeprefix(f"{SCHEME}://"))

    def put(self, **files: str | bytes) -> None:
        """Write files below `/books`: `__` in a name stands for a slash, and `_md` at its end for `.md`."""
        for name, content in files.items():
            path = name.replace("__", "/").removesuffix("_md")
            content = content.encode() if isinstance(content, str) else content
            self.pipe_file(f"/books/{path}{'.md' if name.endswith('_md') else ''}", content)

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        self._ask("info", path)
        return super().info(path, **options)

    def find(self, path: str, *args: Any, **options: Any) -> Any:
        self._ask("find", path)
        found = super().find(path, *args, **options)
        return {**found, **{entry["name"]: entry for entry in self.listed}} if options.get("detail") else found

    def cat_file(self, path: str, start: Any = None, end: Any = None, **options: Any) -> bytes:
        self._ask("look", path)
        return super().cat_file(path, start=start, end=end, **options)

    def get_file(self, rpath: str, lpath: Any = None, **options: Any) -> None:
        self._ask("fetch", rpath)
        if error := self.refused.get(rpath.rpartition("/")[2]):
            raise error
        super().get_file(rpath, lpath, **options)

    def fetched(self) -> list[str]:
        """Return the names of the files that were fetched since the last call, sorted."""
        names = sorted(request.rpartition("/")[2] for request in self.requests if request.startswith("fetch"))
        self.requests.clear()
        return names

    def _ask(self, verb: str, path: str) -> None:
        self.requests.append(f"{verb} {path}")
        if self.is_down:
            raise OSError("no route to the shelf")


fsspec.register_implementation(SCHEME, Shelf, clobber=True)


def shelf() -> Shelf:
    """Return the driver, without files."""
    Shelf.reset()
    return fsspec.filesystem(SCHEME)
