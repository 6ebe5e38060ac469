"""Describe an index in the schema metadata of its Parquet file: all that is no passage, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from echo_index.errors import EchoIndexError, IndexMismatch
from echo_index.indexer.catalog.records import DocumentRow
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.documents.context_line import parse_context
from echo_index.indexer.documents.fields import Field
from echo_index.indexer.generations.manifest import Manifest
from echo_index.indexer.vectors.normalization import NormalizationPair

METADATA_KEY = b"echo_index"
"""The key of the description in the schema metadata."""
FORMAT = 1
"""Of these files; incremented when an earlier version could not read a later one."""
_LATER = "it was written by a later version of echo-index"
_TEXTS_OF_DOCUMENTS = ("path", "hash", "format", "title", "language", "recognition", "archive")


class LaterFormat(ValueError):
    """A later version of echo-index wrote the file."""


@dataclass(frozen=True)
class Description:
    """What an index is besides its passages: its manifest, its settings, and the documents that have no passage.

    Those are documents that could not be read, empty ones, and archives, which have no row in a table of passages.
    """

    manifest: Manifest
    settings: Mapping[str, str]
    documents: tuple[DocumentRow, ...]

    @property
    def dimension(self) -> int:
        """The number of components of a vector."""
        return self.manifest.normalizations.echo.dimension

    def as_bytes(self) -> bytes:
        """Return the JSON for the schema metadata."""
        described = {
            "format": FORMAT,
            "manifest": json.loads(self.manifest.as_text()),
            "settings": dict(self.settings),
            "documents_without_passages": [
                {**asdict(document), "fields": {field.name: field.values for field in document.fields}}
                for document in self.documents
            ],
        }
        return json.dumps(described, ensure_ascii=False).encode()

    @classmethod
    def parse(cls, stored: bytes) -> Description:
        """Parse the JSON of `as_bytes`.

        Raises:
            LaterFormat: a later version of echo-index wrote it.
            ValueError: it is no such JSON, or not complete; the message is a clause.
        """
        try:
            described: Any = json.loads(stored)
            version = described["format"]
            if not isinstance(version, int) or version < 1:
                raise ValueError(f"its format is {version!r}")
            if version > FORMAT:
                raise LaterFormat(f"{_LATER}: it has format {version}, and this version reads format {FORMAT}")
            manifest = _parse_manifest(described["manifest"])
            settings = _parse_settings(described["settings"])
            documents = tuple(map(_parse_document, described["documents_without_passages"]))
        except LaterFormat:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError, RecursionError) as error:
            raise ValueError(f"its description cannot be read ({_one_line(error)})") from None
        return cls(manifest, settings, documents)


def _parse_manifest(fields: Any) -> Manifest:
    """Return the manifest, if a build and a search can use it."""
    try:
        manifest = Manifest.parse(json.dumps(fields, ensure_ascii=False), path=Path("manifest"))
    except IndexMismatch:
        raise LaterFormat(f"{_LATER}, for an index of format {fields['format_version']}") from None
    except EchoIndexError as error:
        raise ValueError(error.message.partition(": ")[2].rstrip(".")) from None  # without the name of a file
    _validate_facts(manifest)
    try:
        is_context = parse_context(manifest.context) == manifest.context
    except EchoIndexError as error:
        raise ValueError(error.message) from None
    if not is_context:
        raise ValueError(f"its context is {manifest.context!r}")
    _validate_normalizations(manifest.normalizations)
    for canary in manifest.canaries:
        if len(canary.vector) != manifest.normalizations.echo.dimension:
            raise ValueError(f"the vector of {canary.text!r} has {len(canary.vector)} dimensions")
    return manifest


def _validate_facts(manifest: Manifest) -> None:
    chunking = Chunking(**manifest.chunking)
    for name, value, least in (
        ("chunk length", chunking.max_tokens, 1),
        ("overlap", chunking.overlap_tokens, 0),
        ("number of documents", manifest.documents, 0),
        ("number of passages", manifest.chunks, 0),
    ):
        if not isinstance(value, int) or value < least:
            raise ValueError(f"its {name} is {value!r}")
    datetime.fromisoformat(manifest.finished)
    if not isinstance(manifest.fingerprint, str) or not manifest.encoder:
        raise ValueError("it has no encoder")
    for name, setting in manifest.encoder.items():
        if not isinstance(setting, int | str | None):
            raise ValueError(f"the {name} of its encoder is {setting!r}")


def _validate_normalizations(normalizations: NormalizationPair) -> None:
    dimension = normalizations.echo.dimension
    unit = np.eye(1, dimension, dtype=np.float32)
    if not dimension:
        raise ValueError("its vectors have no dimension")
    for normalization in filter(None, (normalizations.echo, normalizations.classical)):
        if normalization.dimension != dimension or not isinstance(normalization.passages, int):
            raise ValueError("its normalizations contradict each other")
        for vectors in (normalization.normalize_documents(unit), normalization.normalize_queries(unit)):
            if not np.isfinite(vectors).all():
                raise ValueError("its normalization is no number")
    if normalizations.relevance is not None:
        normalizations.relevance.relevance(0.5, chunks=1)


def _parse_settings(stored: Any) -> dict[str, str]:
    if not isinstance(stored, dict) or not all(isinstance(value, str) for value in stored.values()):
        raise ValueError("its settings are no texts")
    return stored


def _parse_document(stored: Any) -> DocumentRow:
    known = {field.name for field in fields(DocumentRow)}
    if not isinstance(stored, dict) or set(stored) != known:
        raise ValueError("a document without passages is not complete")
    if not all(isinstance(stored[name], str) for name in _TEXTS_OF_DOCUMENTS):
        raise ValueError("a document without passages has no texts")
    if not all(isinstance(stored[name], int) for name in ("size", "modified_ns")):
        raise ValueError(f"the document {stored['path']!r} has no size or time")
    if not isinstance(stored["failure"], str | None):
        raise ValueError(f"the failure of {stored['path']!r} is no text")
    omissions = tuple(map(str, stored["omissions"]))
    of_itself = tuple(Field(str(name), tuple(values)) for name, values in stored["fields"].items())
    return DocumentRow(
        **{**stored, "omissions": omissions, "fields": of_itself, "has_own_title": bool(stored["has_own_title"])}
    )


def _one_line(error: Exception) -> str:
    name = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
    return " ".join(f"{name}{error}".split())[:200]
