"""Find the documents of an index that a person names by path, document name or glob, or a part of one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from echo_index.app.services.document_parts import DocumentPart, split_location
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


def select_document(name: str, documents: Mapping[str, str], index_dir: Path) -> str:
    """Return the one document that a name means, see `select_documents`.

    Raises:
        QuestionError: the name matches no document, or several.
    """
    paths = select_documents([name], documents, index_dir)
    if len(paths) > 1:
        raise QuestionError(
            f"{name} matches {len(paths)} documents, {paths[0]} and {paths[1]} among them.",
            remedy="Name one of them.",
        )
    return paths[0]


def select_part(name: str, documents: Mapping[str, str], index_dir: Path) -> tuple[str, DocumentPart]:
    """Return the one document that a text means, and what of it: "notes.md:7", "report.pdf, page 3".

    Raises:
        QuestionError: the text begins with the name of no document, or of several.
    """
    from echo_index.indexer.catalog.document_names import named_documents

    found = split_location(name, lambda text: bool(named_documents(text, documents, index_dir)))
    document, part = found or (name, DocumentPart())
    return select_document(document, documents, index_dir), part
