"""The checkpoint of a training: its progress and tensors, in one file that is replaced atomically."""

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

OTHER_FOLDER_REMEDY = "Name another --out."
"""The remedy where a folder has files that must not be overwritten."""
_FILE_NAME = "checkpoint.safetensors"


@dataclass(frozen=True, slots=True)
class TrainingState:
    """The number of steps made, and the highest held-out score `best` so far, at step `best_step`.

    `run` is a hash of the pairs, options and model of the training.
    """

    run: str
    step: int
    best: float
    best_step: int


def save_checkpoint(folder: Path, state: TrainingState, tensors: Mapping[str, torch.Tensor]) -> None:
    """Replace the checkpoint in a folder.

    Raises:
        OSError: the checkpoint cannot be written; the previous one still exists.
    """
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    metadata = {"standing": json.dumps(asdict(state))}
    delete_unfinished(folder)  # left by a killed process; checkpoints are large
    replace_file(folder / _FILE_NAME, lambda file: save_file(contiguous, file, metadata), durable=True)


def load_checkpoint(folder: Path, *, run: str) -> tuple[TrainingState, dict[str, torch.Tensor]] | None:
    """Return the state and tensors of the checkpoint in a folder; None if there is no checkpoint.

    Raises:
        ModelError: the checkpoint is damaged, or of another run.
    """
    path = folder / _FILE_NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            state = TrainingState(**json.loads(file.metadata()["standing"]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"The checkpoint {path} cannot be read: {error}.", remedy="Delete it to start over, or name another --out."
        ) from None
    if state.run != run:
        raise ModelError(
            f"The checkpoint {path} is of another run, with other pairs, options or weights.",
            remedy="Use the same pairs and options, delete it to start over, or name another --out.",
        )
    return state, tensors
