"""Two small indexes with two documents of the same name in both, one of them with the same text, and a service."""

from __future__ import annotations

from pathlib import Path

from echo_index.app.services.collections import Collection
from echo_index.app.services.index_service import IndexService, ServiceOptions
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.sources.source import Source

SAME_NAME = "notes/start.md"
WORK = {
    "start.md": "# Begin here\n\nThe report is due in May.\n",
    "travel/rules.md": "# Travel\n\nTrips are approved by Ines Holm.\n",
    "yes.md": "Yes.\n",
}
RECIPES = {
    "start.md": "# Begin here\n\nThe dough rests for eighteen hours.\n",
    "soups/onion.txt": "Onion soup needs a spoon of sugar.\n",
    "yes.md": "Yes.\n",
}


def write_notes(folder: Path, texts: dict[str, str]) -> Path:
    """Write documents to the folder `notes` in a folder, and return that of the notes."""
    for name, text in texts.items():
        path = folder / "notes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "notes"


def build_notes(folder: Path, encoder: EchoEncoder, *, rebuild: bool = False, context: str = "") -> Path:
    """Build the index of the notes in a folder, and return its folder."""
    source = Source.parse(str(folder / "notes"))
    build_index([source], folder / "index", encoder=encoder, rebuild=rebuild, context=context)
    return folder / "index"


def several_indexes(folder: Path, encoder: EchoEncoder) -> IndexService:
    """Build the indexes `work` and `recipes`, each in a folder of its own, and return their service."""
    work, recipes = (
        build_notes(write_notes(folder / name, texts).parent, encoder)
        for name, texts in (("work", WORK), ("recipes", RECIPES))
    )
    return IndexService(
        ServiceOptions(
            work,
            name="work",
            about="the office",
            others=(Collection("recipes", recipes, ""),),
            device="cpu",
            index_device="cpu",
        )
    )
