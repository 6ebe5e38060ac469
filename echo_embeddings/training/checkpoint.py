"""Where a training stands, in one file that is there whole or not at all. Knows tensors and numbers only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from echo_index.embeddings.runtime.atomic_write import delete_unfinished, replace_file
from echo_index.errors import ModelError

NAME_ANOTHER = "Name another --out."
"""What mends it where a folder holds what must stay as it is."""
_NAME = "checkpoint.safetensors"


@dataclass(frozen=True, slots=True)
class TrainingState:
    """How many steps were made, of which run, and the best that was found on the way.

    `run` says what the run is: pairs, options and model. `best` is the highest held-out score, at step `best_step`.
    """

    run: str
    step: int
    best: float
    best_step: int


def save_checkpoint(folder: Path, state: TrainingState, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write a checkpoint in the place of the last one.

    Raises:
        OSError: it cannot be written; the last one is still there.
    """
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    metadata = {"standing": json.dumps(asdict(state))}
    delete_unfinished(folder)  # of a process that was killed: a checkpoint is large
    replace_file(folder / _NAME, lambda file: save_file(contiguous, file, metadata), durable=True)


def load_checkpoint(folder: Path, *, run: str) -> tuple[TrainingState, dict[str, torch.Tensor]] | None:
    """Return the last checkpoint and its tensors, None where there is none.

    Raises:
        ModelError: it is damaged, or of another run.
    """
    path = folder / _NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            state = TrainingState(**json.loads(file.metadata()["standing"]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"The checkpoint {path} cannot be read: {error}.", remedy="Delete it to begin anew, or name another --out."
        ) from None
    if state.run != run:
        raise ModelError(
            f"The checkpoint {path} is of another run: other pairs, options or weights.",
            remedy="Give what it was begun with, delete it to begin anew, or name another --out.",
        )
    return state, tensors
