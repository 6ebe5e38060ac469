"""The stores that the tests of this folder publish to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def lite(tmp_path: Path) -> Callable[[str], str]:
    """Return a function that names an index in a file of Milvus Lite."""
    pytest.importorskip("pymilvus", reason="stores need pymilvus: pip install 'echo-index[milvus]'")
    pytest.importorskip("milvus_lite", reason="milvus-lite is not installed: pip install --no-deps milvus-lite")
    return lambda name: f"milvus:{tmp_path / 'store.db'}#{name}"
