"""Names of the routes, a path without what a client put into it, and their methods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class RouteNames:
    """The paths of an OpenAPI page with their methods, such as /search and /v1/models/{model}."""

    def __init__(self, methods: Mapping[str, Iterable[str]]) -> None:
        self._methods = {path: sorted(method.upper() for method in of_path) for path, of_path in methods.items()}
        self._beginnings = {path.partition("{")[0]: path for path in self._methods if "{" in path}

    def name_of(self, path: str) -> str | None:
        """Return the name of the route of a path, None if there is no such route."""
        if path in self._methods:
            return path
        names = (name for beginning, name in self._beginnings.items() if path.startswith(beginning))
        return next(names, None)

    def methods_of(self, path: str) -> list[str]:
        """Return the methods of the route of a path in capitals, none if there is no such route."""
        return self._methods.get(self.name_of(path) or "", [])
