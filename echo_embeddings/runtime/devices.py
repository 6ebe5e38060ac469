"""Choose the device that the model runs on: a GPU if there is one, else the CPU."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from echo_index.errors import DeviceError

DeviceChoice = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class Device:
    """A torch device and the reason for choosing it."""

    name: str
    reason: str


def choose_device(choice: DeviceChoice = "auto") -> Device:
    """Return the device to run the model on. Where torch was built without GPUs, it need not be loaded for this.

    Raises:
        DeviceError: "cuda" was requested, but torch finds no CUDA device.
    """
    if choice == "cpu":
        return Device("cpu", "asked for")
    version = _version_without_gpu()
    if version is None:
        import torch

        if torch.cuda.is_available():
            return Device("cuda", f"{torch.cuda.get_device_name()} is there")
        version = None if torch.version.cuda else str(torch.__version__)
    why = "no CUDA device is visible" if version is None else f"this torch ({version}) has no CUDA"
    if choice == "cuda":
        raise DeviceError(f"The device cuda was asked for, but {why}.", remedy="Use --device cpu or --device auto.")
    return Device("cpu", why)


def _version_without_gpu() -> str | None:
    """Return the version of the installed torch if it was built for neither CUDA nor ROCm; None if it may have been.

    To load torch takes most of a second. Its builds write what they were made for into a file.
    """
    spec = find_spec("torch")
    try:
        text = Path(spec.origin).with_name("version.py").read_text("utf-8") if spec and spec.origin else ""
    except (OSError, UnicodeDecodeError):
        return None
    found = dict(re.findall(r"(?m)^(__version__|cuda|hip)\b[^=\n]*= *'?([^'\n]*)", text))
    return found["__version__"] if found.get("cuda") == found.get("hip") == "None" and "__version__" in found else None
