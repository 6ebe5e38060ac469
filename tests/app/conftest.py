"""Two collections, which several parts of the application serve."""

from __future__ import annotations

import pytest
from several_indexes import build_notes, write_notes

from echo_index.app.services.collections import Collection
from echo_index.app.services.index_service import IndexService, ServiceOptions
from echo_index.embeddings.encoder import EchoEncoder


@pytest.fixture(scope="session")
def two_collections(encoder: EchoEncoder, tmp_path_factory: pytest.TempPathFactory) -> IndexService:
    """Return a service for the collections animals and magic, which both have a document notes/read me.md."""
    folder = tmp_path_factory.mktemp("collections")
    animals = {
        "fox.md": "# The fox\n\nThe quick brown fox jumps over the lazy dog.\n",
        "read me.md": "Animals.\n",
    }
    magic = {"vow.md": "# Wizards\n\nSeven wizards quietly judge my vow.\n", "read me.md": "Spells.\n"}
    write_notes(folder / "animals", animals)
    write_notes(folder / "magic", magic)
    return IndexService(
        ServiceOptions(
            build_notes(folder / "animals", encoder),
            name="animals",
            about="Beasts of the field",
            others=(Collection("magic", build_notes(folder / "magic", encoder, context="Spells and vows")),),
            device="cpu",
            index_device="cpu",
        )
    )
