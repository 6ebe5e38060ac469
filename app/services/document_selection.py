"""What a person names to be removed -> documents of the index. Removes nothing itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from echo_index.errors import QuestionError


def select_documents(names: Sequence[str], held: Sequence[str], index_dir: Path) -> list[str]:
    """Return those of the documents `held`, in their order, that the names stand for.

    A name is the path of a file as a person would type it, else the name of a document as search shows it, else a glob
    over such names, in which `*` crosses folders.

    Raises:
        QuestionError: a name stands for no document.
    """
    from echo_index.indexer.storage.stored_paths import full_path

    by_file = {full_path(path, index_dir): path for path in held}
    chosen: set[str] = set()
    for name in names:
        typed = Path(os.path.abspath(os.path.expanduser(name)))  # noqa: PTH100, PTH111 - as with sources
        if typed in by_file:
            found = [by_file[typed]]
        else:
            found = [path for path in held if path == name] or [path for path in held if fnmatchcase(path, name)]
        if not found:
            raise QuestionError(
                f"There is no document {name or repr(name)} in the index in {index_dir}.",
                remedy="Name a file, or all files of a folder as a glob in quotes: 'FOLDER/*'.",
            )
        chosen.update(found)
    return [path for path in held if path in chosen]
