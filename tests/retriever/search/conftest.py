"""Documents for the tests of the search."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Return a folder with three documents whose words the tiny model's tokenizer knows."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "fox.md").write_text("# The fox\n\nThe quick brown fox jumps over the lazy dog.\n")
    (folder / "wizards.md").write_text("# Wizards\n\nSeven wizards quietly judge my vow.\n")
    (folder / "jugs.txt").write_text('Pack my box with "five" dozen liquor jugs AND nothing else.\n')
    return folder
