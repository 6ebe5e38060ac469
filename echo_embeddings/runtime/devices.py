"""Choose the device that the model runs on: a GPU if there is one, else the CPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from echo_index.errors import DeviceError

DeviceChoice = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class Device:
    """A torch device and the reason for choosing it."""

    name: str
    reason: str


def choose_device(choice: DeviceChoice = "auto") -> Device:
    """Return the device to run the model on.

    Raises:
        DeviceError: "cuda" was requested, but torch finds no CUDA device.
    """
    if choice == "cpu":
        return Device("cpu", "asked for")
    if torch.cuda.is_available():
        return Device("cuda", f"{torch.cuda.get_device_name()} is there")
    why = "no CUDA device is visible" if torch.version.cuda else f"this torch ({torch.__version__}) has no CUDA"
    if choice == "cuda":
        raise DeviceError(f"The device cuda was asked for, but {why}.", remedy="Use --device cpu or --device auto.")
    return Device("cpu", why)
