"""Two collections, which several parts of the application serve."""

from __future__ import annotations

from pathlib import Path

import pytest

from echo_index.app.services.collections import Collection
from echo_index.app.services.index_service import IndexService, ServiceOptions
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.sources.source import Source


@pytest.fixture(scope="session")
def two_collections(encoder: EchoEncoder, tmp_path_factory: pytest.TempPathFactory) -> IndexService:
    """Return a service for the collections animals and magic, which both have a document notes/read me.md."""
    options = collection_options(encoder, tmp_path_factory.mktemp("collections"))
    return IndexService(options)


def collection_options(encoder: EchoEncoder, folder: Path) -> ServiceOptions:
    """Build the two collections below a folder."""
    texts = {
        "animals": {
            "fox.md": "# The fox\n\nThe quick brown fox jumps over the lazy dog.\n",
            "read me.md": "Animals.\n",
        },
        "magic": {"vow.md": "# Wizards\n\nSeven wizards quietly judge my vow.\n", "read me.md": "Spells.\n"},
    }
    for name, documents in texts.items():
        (folder / name / "notes").mkdir(parents=True)
        for file, text in documents.items():
            (folder / name / "notes" / file).write_text(text)
        context = "Spells and vows" if name == "magic" else ""
        source = Source.parse(str(folder / name / "notes"))
        build_index([source], folder / name / "index", encoder=encoder, context=context)
    return ServiceOptions(
        folder / "animals/index",
        name="animals",
        about="Beasts of the field",
        others=(Collection("magic", folder / "magic/index"),),
        device="cpu",
        index_device="cpu",
    )
