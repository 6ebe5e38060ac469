"""The device is chosen without loading torch where torch cannot use a GPU."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
import torch

from echo_index.embeddings.runtime import devices
from echo_index.embeddings.runtime.devices import choose_device
from echo_index.errors import DeviceError

TEMPLATE = "from typing import Optional\n__version__ = '9.1.0'\ncuda: Optional[str] = {}\nhip: Optional[str] = {}\n"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows each time torch is asked for a GPU; it has none."""
    asked: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(asked.append("asked")))
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    return asked


def install(version: str | None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package torch be in a folder with this version.py."""
    if version is not None:
        (folder / "version.py").write_text(version)
    spec = ModuleSpec("torch", None, origin=str(folder / "__init__.py"))
    monkeypatch.setattr(devices, "find_spec", lambda name: spec)


def test_a_torch_without_gpus_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[str]) -> None:
    install(TEMPLATE.format("None", "None"), tmp_path, monkeypatch)
    device = choose_device()
    assert (device.name, device.reason) == ("cpu", "this torch (9.1.0) has no CUDA")
    with pytest.raises(DeviceError, match=r"this torch \(9\.1\.0\) has no CUDA"):
        choose_device("cuda")
    assert asked == []


@pytest.mark.parametrize(
    "version",
    [TEMPLATE.format("'12.8'", "None"), TEMPLATE.format("None", "'6.2'"), "", "cuda = None\nhip = None\n", None],
)
def test_any_other_torch_is_asked(
    version: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    install(version, tmp_path, monkeypatch)
    device = choose_device()
    assert (device.name, device.reason, asked) == ("cpu", "no CUDA device is visible", ["asked"])
