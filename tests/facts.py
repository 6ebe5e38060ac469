"""Invented facts that no model can know."""

from __future__ import annotations

from pathlib import Path

FACTS = {
    "ferry": ("The ferry to the island leaves at eight and at noon.", "When does the ferry leave?", "eight"),
    "castle": ("The castle above the town was designed by Otto Brandt.", "Who designed the castle?", "Brandt"),
    "bridge": ("The bridge was built by the engineer Marta Lindqvist in 1911.", "Who built the bridge?", "Lindqvist"),
    "archive": ("The door of the archive is painted green.", "What colour is the door of the archive?", "green"),
}


def write_facts(folder: Path) -> Path:
    """Write one page for each fact; return the folder."""
    folder.mkdir(exist_ok=True)
    for name, (text, _, _) in FACTS.items():
        (folder / f"{name}.md").write_text(f"# {name.title()}\n\n{text}\n", encoding="utf-8")
    return folder
