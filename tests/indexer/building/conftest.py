"""The documents that builds and removals are tried with."""

from __future__ import annotations

from pathlib import Path

import pytest
from indexer_helpers import write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with three documents, one of them in a folder of its own."""
    folder = tmp_path / "docs"
    write(
        folder,
        whales="# Whales\n\nWhales live in the deep sea. They sing long songs at night. The blue one is the largest.\n",
        bread="# Bread\n\nBread is made of flour, water and salt. It rises for hours. Bake it hot and let it cool.\n",
        deep__stars="# Stars\n\nStars are far away. Their light is old when it comes. Some have planets of their own.",
    )
    return folder
