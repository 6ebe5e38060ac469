"""Say which members of an archive a source takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from echo_index.indexer.sources.gitignore import PatternList, parse_patterns


@dataclass(frozen=True)
class MemberPatterns:
    """The patterns of a source for the members of one archive, whose path below the source is `archive`.

    For patterns, an archive is a folder: the path of a member is `notes.zip!/folder/a.md`. Files to include are
    included also if the archive itself matches. Paths in `left_out`, of members, are never taken.
    """

    archive: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    left_out: frozenset[str] = frozenset()

    # The class has no slots so that it can cache these properties.

    @cached_property
    def _exclude(self) -> PatternList:
        return parse_patterns(self.exclude)

    @cached_property
    def _include(self) -> PatternList | None:
        include = parse_patterns(self.include) if self.include else None
        return None if include is None or include.selects(self.archive) else include

    def takes(self, path: str) -> bool:
        """Return whether a file in the archive is wanted."""
        included = self._include is None or self._include.selects(f"{self.archive}!/{path}")
        return included and path not in self.left_out and not self._is_excluded(path, is_folder=False)

    def enters(self, path: str) -> bool:
        """Return whether an archive in the archive is not excluded."""
        return not self._is_excluded(path, is_folder=True)

    def _is_excluded(self, path: str, *, is_folder: bool) -> bool:
        above = (self._exclude.verdict(folder, is_folder=True) for folder in self._folders(path))
        return any(above) or bool(self._exclude.verdict(f"{self.archive}!/{path}", is_folder=is_folder))

    def _folders(self, path: str) -> Iterator[str]:
        """Yield the archive and the folders and archives in it that lead to a path."""
        whole = f"{self.archive}!/{path}"
        end = whole.find("/", len(self.archive))
        while end >= 0:
            yield whole[:end]
            end = whole.find("/", end + 1)
