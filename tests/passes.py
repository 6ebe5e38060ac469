"""Watches what goes through our layers, of any model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from echo_index.embeddings.decoder.decoder import Decoder


@contextmanager
def passes_noted() -> Iterator[list[list[int]]]:
    """Note the token ids of each pass: of batches, of prefixes and of texts that grow."""
    passes: list[list[int]] = []
    run = Decoder._run

    def noting(self: Decoder, ids: torch.Tensor, *rest: Any, **named: Any) -> torch.Tensor:
        passes.append(ids.tolist())
        return run(self, ids, *rest, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Decoder, "_run", noting)
        yield passes


@contextmanager
def batches_noted() -> Iterator[list[int]]:
    """Note how many texts each batch holds."""
    batches: list[int] = []
    read = Decoder.forward

    def noting(self: Decoder, ids: torch.Tensor, packing: Any, **named: Any) -> torch.Tensor:
        batches.append(packing.texts)
        return read(self, ids, packing, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Decoder, "forward", noting)
        yield batches
