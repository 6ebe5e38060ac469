"""Read and write the manifest of an index: a JSON file that is written last, so that it marks a complete generation."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from echo_index.errors import IndexDamaged, IndexMismatch, IndexMissing
from echo_index.indexer.storage.atomic_write import write_atomically
from echo_index.indexer.vectors.index_kind import IndexDescription
from echo_index.indexer.vectors.normalization import NormalizationPair, VectorNormalization
from echo_index.indexer.vectors.relevance import RelevanceScale

FORMAT_VERSION = 5  # of an index without a context
_WITH_CONTEXT = 6  # so that no earlier version, which would embed new passages without the context, opens it
_WITH_DESCRIPTION = 7  # so that no earlier version takes the file of candidates for one of vectors
_WITH_ADDRESSES = 8  # so that no earlier version takes an address for a path, at which there is no file any more
_WITH_STORE = 9  # so that no earlier version takes an index whose passages are elsewhere for an empty one
NEWEST_FORMAT = _WITH_STORE
MANIFEST = "manifest.json"
_WITHOUT_CHECKSUM = 1  # the format before manifests and vector files had checksums
_CHECKSUM = "checksum"
_STORED_NAMES = {"gains": "kept"}  # attributes with another name in the manifest


@dataclass(frozen=True)
class Canary:
    """A text and the vector that the encoder returned for it at build time, to notice changes of the model."""

    text: str
    vector: tuple[float, ...]


@dataclass(frozen=True)
class Manifest:
    """The description of one complete generation of an index."""

    generation: int
    fingerprint: str
    encoder: dict[str, str | int | None]
    """The encoder's configuration, which the fingerprint identifies."""
    chunking: dict[str, int]
    documents: int
    chunks: int
    vectors_file: str
    finished: str
    """UTC, ISO 8601."""
    normalizations: NormalizationPair
    """What is applied to encoder outputs before they are compared."""
    canaries: tuple[Canary, ...]
    catalog_file: str = "catalog.sqlite"
    context: str = ""
    """The line that is embedded with each chunk, see `context_line`."""
    vector_index: IndexDescription | None = None
    """The approximate index in `vectors_file`; None if vectors are searched exactly, or an earlier version wrote it."""
    has_addresses: bool = False
    """Whether documents are, or sources were, at addresses such as s3://bucket/docs."""
    store: str = ""
    """Where the passages and their vectors are, if they are in a store alone, such as milvus:http://host:19530."""
    format_version: int = FORMAT_VERSION

    @property
    def has_checksums(self) -> bool:
        """Whether the vector file ends with a checksum; the first index format had none."""
        return self.format_version > _WITHOUT_CHECKSUM

    def as_text(self) -> str:
        """Return the manifest as JSON with a checksum of all other fields."""
        fields = {
            **asdict(self),
            "spaces": _stored_normalizations(self.normalizations),
            "canaries": [{"text": canary.text, "vector": _encode_vector(canary.vector)} for canary in self.canaries],
        }
        del fields["normalizations"]
        if not self.context:
            del fields["context"]  # which formats before the sixth do not have
        if self.vector_index is None:
            del fields["vector_index"]  # which formats before the seventh do not have
        if not self.has_addresses:
            del fields["has_addresses"]  # which formats before the eighth do not have
        if not self.store:
            del fields["store"]  # which formats before the ninth do not have
        return json.dumps({**fields, _CHECKSUM: _checksum(fields)}, indent=1, ensure_ascii=False)

    @classmethod
    def parse(cls, text: str | bytes, *, path: Path) -> Manifest:
        """Parse the JSON of `as_text`; `path` is named in errors.

        Raises:
            IndexMismatch: a later version of echo-index wrote it.
            IndexDamaged: it is incomplete or has changed since it was written.
        """
        try:
            fields: Any = json.loads(text)
        except ValueError as error:
            raise _damage(path, str(error)) from None
        version = fields.get("format_version") if isinstance(fields, dict) else None
        if not isinstance(version, int) or version < _WITHOUT_CHECKSUM:
            raise _damage(path, "it has no format version")
        if version > NEWEST_FORMAT:
            raise IndexMismatch(
                f"The index in {path.parent} has format {version}; this version of echo-index reads formats up to "
                f"{NEWEST_FORMAT}.",
                remedy="Update echo-index, or build another index with --index FOLDER.",
            )
        if version > _WITHOUT_CHECKSUM and fields.pop(_CHECKSUM, "") != _checksum(fields):
            raise _damage(path, "its checksum is wrong")
        try:
            canaries = tuple(Canary(item["text"], _decode_vector(item["vector"])) for item in fields.pop("canaries"))
            normalizations = (
                _parse_normalizations(fields.pop("spaces")) if "spaces" in fields else _parse_means(fields.pop("means"))
            )
            described = fields.pop("vector_index", None)
            vector_index = None if described is None else IndexDescription.of(described)
            manifest = cls(canaries=canaries, normalizations=normalizations, vector_index=vector_index, **fields)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise _damage(path, f"it is incomplete: {error}") from None
        for name in (manifest.vectors_file, manifest.catalog_file):
            if PurePath(name).name != name:
                raise _damage(path, f"it names the file {name!r}, which is not in its folder")
        return manifest


def with_needed_format(manifest: Manifest) -> Manifest:
    """Return a manifest that says the earliest format that has all that is in it."""
    needed = (
        (_WITH_STORE, manifest.store),
        (_WITH_ADDRESSES, manifest.has_addresses),
        (_WITH_DESCRIPTION, manifest.vector_index),
        (_WITH_CONTEXT, manifest.context),
    )
    return replace(manifest, format_version=next((format for format, has_it in needed if has_it), FORMAT_VERSION))


def read_manifest(index_dir: Path) -> Manifest:
    """Read the manifest file of an index.

    Raises:
        IndexMissing: there is no complete index in the folder.
        IndexMismatch: a later version of echo-index wrote the index.
        IndexDamaged: the file is damaged.
    """
    path = index_dir / MANIFEST
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise _missing(index_dir) from None
    except OSError as error:
        raise _damage(path, f"it cannot be read: {error.strerror}") from None
    return Manifest.parse(text, path=path)


def manifest_stamp(index_dir: Path) -> tuple[int, int]:
    """Return a value that changes with every new manifest file; cheap enough to be called before every search.

    Raises:
        IndexMissing: there is no complete index in the folder.
    """
    try:
        stat = (index_dir / MANIFEST).stat()
    except FileNotFoundError:
        raise _missing(index_dir) from None
    return stat.st_ino, stat.st_mtime_ns


def write_manifest(index_dir: Path, manifest: Manifest) -> None:
    """Replace the manifest file atomically.

    Raises:
        IndexUnwritable: the file cannot be written.
    """
    text = manifest.as_text().encode()
    write_atomically(index_dir / MANIFEST, lambda file: file.write(text))


def _stored_normalizations(normalizations: NormalizationPair) -> dict[str, dict[str, Any] | None]:
    def with_stored_names(normalization: VectorNormalization) -> dict[str, Any]:
        return {_STORED_NAMES.get(name, name): value for name, value in asdict(normalization).items()}

    classical, relevance = normalizations.classical, normalizations.relevance
    return {
        "echo": with_stored_names(normalizations.echo),
        "classical": None if classical is None else with_stored_names(classical),
        "relevance": None if relevance is None else asdict(relevance),
    }


def _parse_normalizations(parsed: Any) -> NormalizationPair:
    classical, relevance = parsed["classical"], parsed.get("relevance")  # earlier formats have no relevance
    return NormalizationPair(
        _parse_normalization(parsed["echo"]),
        None if classical is None else _parse_normalization(classical),
        None if relevance is None else RelevanceScale(**relevance),
    )


def _parse_normalization(parsed: dict[str, Any]) -> VectorNormalization:
    names = {stored: name for name, stored in _STORED_NAMES.items()}
    return VectorNormalization(**{names.get(name, name): value for name, value in parsed.items()})


def _parse_means(parsed: Any) -> NormalizationPair:
    """Return the normalization of the first two formats: the means of the echo vectors, and no directions."""
    document, query = (np.array(parsed[side], dtype=np.float32) for side in ("document", "query"))
    no_directions = np.empty((0, len(document)), dtype=np.float32)
    echo = VectorNormalization.of(document, query, no_directions, no_directions[:, 0], parsed["passages"])
    return NormalizationPair(echo, None)


def _encode_vector(vector: tuple[float, ...]) -> str:
    return b64encode(np.array(vector, dtype="<f4").tobytes()).decode()


def _decode_vector(stored: str | list[float]) -> tuple[float, ...]:
    """Return a vector from base64 of float32, or from the list of numbers of the first three formats."""
    return tuple(np.frombuffer(b64decode(stored), "<f4").tolist() if isinstance(stored, str) else stored)


def _checksum(fields: dict[str, Any]) -> str:
    """Return the SHA-256 of the fields in canonical JSON."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _damage(path: Path, reason: str) -> IndexDamaged:
    return IndexDamaged(f"The manifest {path} is damaged: {reason}.", remedy="Repair it: echo-index build")


def _missing(index_dir: Path) -> IndexMissing:
    if index_dir.is_dir() and any(index_dir.iterdir()):
        message = f"There is no complete index in {index_dir} yet: a build was started but has not finished."
        return IndexMissing(message, remedy="Continue it: echo-index build FOLDER")
    return IndexMissing(f"There is no complete index in {index_dir}.", remedy="Build one: echo-index build FOLDER")
