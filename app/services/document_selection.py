"""Find the documents of an index that a person names by path, document name or glob."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from echo_index.errors import QuestionError


def select_documents(names: Sequence[str], documents: Sequence[str], index_dir: Path) -> list[str]:
    """Return those of the documents that match one of the names, in the order of `documents`.

    Each name is tried as the path of a file, then as a document's name as search shows it, then as a glob over such
    names, in which `*` also matches `/`.

    Raises:
        QuestionError: a name matches no document.
    """
    from echo_index.indexer.storage.stored_paths import full_path

    by_file = {full_path(path, index_dir): path for path in documents}
    selected: set[str] = set()
    for name in names:
        typed = Path(os.path.abspath(os.path.expanduser(name)))  # noqa: PTH100, PTH111 - the same as for sources
        if typed in by_file:
            matches = [by_file[typed]]
        else:
            matches = [path for path in documents if path == name] or [
                path for path in documents if fnmatchcase(path, name)
            ]
        if not matches:
            raise QuestionError(
                f"There is no document {name or repr(name)} in the index in {index_dir}.",
                remedy="Name a file or, for all files of a folder, a glob in quotes: 'FOLDER/*'.",
            )
        selected.update(matches)
    return [path for path in documents if path in selected]
