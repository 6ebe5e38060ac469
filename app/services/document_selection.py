"""Find the documents of an index that a person names by path, document name or glob."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from echo_index.errors import QuestionError


def select_documents(names: Sequence[str], documents: Mapping[str, str], index_dir: Path) -> list[str]:
    """Return those of the documents that match one of the names, in the order of `documents`.

    `documents` are stored paths with their archives. A name is the path of a document, that of a folder or an archive,
    or a glob, as for `--path`.

    Raises:
        QuestionError: a name matches no document.
    """
    from echo_index.indexer.catalog.document_names import named_documents

    selected: set[str] = set()
    for name in names:
        matches = named_documents(name, documents, index_dir)
        if not matches:
            raise QuestionError(
                f"There is no document {name or repr(name)} in the index in {index_dir}.",
                remedy="Name a file or a folder as search shows it, or a glob in quotes.",
            )
        selected.update(matches)
    return [path for path in documents if path in selected]
