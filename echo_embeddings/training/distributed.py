"""The processes that train one model together, one for each GPU."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

import torch

from echo_index.errors import MissingPackage

if TYPE_CHECKING:
    from accelerate import PartialState

T = TypeVar("T")


class ProcessGroup:
    """The processes that `accelerate launch` has started, or this one alone.

    Raises:
        MissingPackage: there are several processes, and accelerate is not installed.
    """

    def __init__(self, *, device: str) -> None:
        self._state: PartialState | None = None
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            if find_spec("accelerate") is None:
                raise MissingPackage(
                    "Training with several processes needs the package accelerate.",
                    remedy="Install it: pip install 'echo-index[tune]'",
                )
            from accelerate import PartialState

            self._state = PartialState(cpu=device == "cpu")

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes files."""
        return self._state is None or self._state.is_main_process

    @property
    def is_distributed(self) -> bool:
        """Whether there are other processes."""
        return self._state is not None

    def shard(self, work: Sequence[T]) -> Sequence[T]:
        """Return this process's share of the work; each item is in the share of exactly one process."""
        return work if self._state is None else work[self._state.process_index :: self._state.num_processes]

    def all_reduce(self, tensor: torch.Tensor) -> None:
        """Replace the tensor of each process by the sum over all processes."""
        if self._state is not None:
            torch.distributed.all_reduce(tensor)
