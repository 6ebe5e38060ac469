"""What built an index, as one JSON file that is written last: where it stands, the index is complete."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from echo_index.errors import IndexDamaged, IndexMismatch, IndexMissing
from echo_index.indexer.storage.atomic_write import write_atomically
from echo_index.indexer.vectors.normalization import NormalizationPair, VectorNormalization

FORMAT_VERSION = 3
MANIFEST = "manifest.json"
_WITHOUT_CHECKSUM = 1  # the format before manifests and vector files carried checksums
_CHECKSUM = "checksum"
_STORED_NAMES = {"gains": "kept"}  # fields whose names in the manifest are older than those in the code


@dataclass(frozen=True)
class Canary:
    """A text and the vector it had when the index was built, as its encoder gave it."""

    text: str
    vector: tuple[float, ...]


@dataclass(frozen=True)
class Manifest:
    """One complete generation of an index."""

    generation: int
    fingerprint: str
    encoder: dict[str, str | int | None]
    """The readable parts of the fingerprint."""
    chunking: dict[str, int]
    documents: int
    chunks: int
    vectors_file: str
    finished: str
    """UTC, ISO 8601."""
    normalizations: NormalizationPair
    """What is done to the vectors of passages and questions before they are compared."""
    canaries: tuple[Canary, ...]
    catalog_file: str = "catalog.sqlite"
    format_version: int = FORMAT_VERSION

    @property
    def has_checksums(self) -> bool:
        """Whether the vector file ends with a checksum: the first format had none."""
        return self.format_version > _WITHOUT_CHECKSUM

    def as_text(self) -> str:
        """Return the manifest as JSON, with a checksum of all the rest."""
        fields = {**asdict(self), "spaces": _stored_normalizations(self.normalizations)}
        del fields["normalizations"]
        return json.dumps({**fields, _CHECKSUM: _checksum(fields)}, indent=1, ensure_ascii=False)

    @classmethod
    def parse(cls, text: str | bytes, *, path: Path) -> Manifest:
        """Read what `as_text` wrote; `path` is where it stood.

        Raises:
            IndexMismatch: it has a format of a later version.
            IndexDamaged: it is not what was written.
        """
        try:
            fields: Any = json.loads(text)
        except ValueError as error:
            raise _damage(path, str(error)) from None
        version = fields.get("format_version") if isinstance(fields, dict) else None
        if not isinstance(version, int) or version < _WITHOUT_CHECKSUM:
            raise _damage(path, "it tells no format version")
        if version > FORMAT_VERSION:
            raise IndexMismatch(
                f"The index in {path.parent} has format {version}; this version of echo-index reads formats up to "
                f"{FORMAT_VERSION}.",
                remedy="Update echo-index, or build another index with --index FOLDER.",
            )
        if version > _WITHOUT_CHECKSUM and fields.pop(_CHECKSUM, "") != _checksum(fields):
            raise _damage(path, "its checksum does not fit")
        try:
            canaries = tuple(Canary(item["text"], tuple(item["vector"])) for item in fields.pop("canaries"))
            normalizations = (
                _read_normalizations(fields.pop("spaces"))
                if "spaces" in fields
                else _normalizations_of_means(fields.pop("means"))
            )
            manifest = cls(canaries=canaries, normalizations=normalizations, **fields)
        except (KeyError, TypeError, AttributeError) as error:
            raise _damage(path, f"it is incomplete: {error}") from None
        for name in (manifest.vectors_file, manifest.catalog_file):
            if PurePath(name).name != name:
                raise _damage(path, f"it names the file {name!r}, which is not in its folder")
        return manifest


def read_manifest(index_dir: Path) -> Manifest:
    """Return the manifest of an index, as its file has it.

    Raises:
        IndexMissing: there is no complete index in the folder.
        IndexMismatch: the index has a format of a later version.
        IndexDamaged: the file is not what was written.
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
    """Return what changes whenever a new manifest is put in place; cheap enough to ask before every search.

    Raises:
        IndexMissing: there is no complete index in the folder.
    """
    try:
        stat = (index_dir / MANIFEST).stat()
    except FileNotFoundError:
        raise _missing(index_dir) from None
    return stat.st_ino, stat.st_mtime_ns


def write_manifest(index_dir: Path, manifest: Manifest) -> None:
    """Put the manifest in place, whole or not at all.

    Raises:
        IndexUnwritable: it cannot be written.
    """
    text = manifest.as_text().encode()
    write_atomically(index_dir / MANIFEST, lambda file: file.write(text))


def _stored_normalizations(normalizations: NormalizationPair) -> dict[str, dict[str, Any] | None]:
    """Return the normalizations as the manifest stores them, under the names that the format has always had."""
    return {
        kind: None if each is None else {_STORED_NAMES.get(name, name): value for name, value in asdict(each).items()}
        for kind, each in (("echo", normalizations.echo), ("classical", normalizations.classical))
    }


def _read_normalizations(parsed: Any) -> NormalizationPair:
    classical = parsed["classical"]
    return NormalizationPair(_normalization(parsed["echo"]), None if classical is None else _normalization(classical))


def _normalization(parsed: dict[str, Any]) -> VectorNormalization:
    names = {stored: name for name, stored in _STORED_NAMES.items()}
    return VectorNormalization(**{names.get(name, name): value for name, value in parsed.items()})


def _normalizations_of_means(parsed: Any) -> NormalizationPair:
    """Return what the first two formats had: the means of the echo vectors, and no directions."""
    document, query = (np.array(parsed[side], dtype=np.float32) for side in ("document", "query"))
    nothing = np.empty((0, len(document)), dtype=np.float32)
    return NormalizationPair(VectorNormalization.of(document, query, nothing, nothing[:, 0], parsed["passages"]), None)


def _checksum(fields: dict[str, Any]) -> str:
    """Return the SHA-256 of the fields in one spelling."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _damage(path: Path, reason: str) -> IndexDamaged:
    return IndexDamaged(f"The manifest {path} is damaged: {reason}.", remedy="Mend it: echo-index build")


def _missing(index_dir: Path) -> IndexMissing:
    if index_dir.is_dir() and any(index_dir.iterdir()):
        begun = f"There is no complete index in {index_dir} yet: a build was begun and has not ended."
        return IndexMissing(begun, remedy="Go on with it: echo-index build FOLDER")
    return IndexMissing(f"There is no complete index in {index_dir}.", remedy="Build one: echo-index build FOLDER")
