"""Recording of the forward passes of native decoders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from echo_index.embeddings.decoder.decoder import Decoder


@contextmanager
def recorded_passes() -> Iterator[list[list[int]]]:
    """Record the token ids of each forward pass: of batches, of prompt prefixes, and in text generation."""
    passes: list[list[int]] = []
    run = Decoder._run

    def recording(self: Decoder, ids: torch.Tensor, *rest: Any, **named: Any) -> torch.Tensor:
        passes.append(ids.tolist())
        return run(self, ids, *rest, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Decoder, "_run", recording)
        yield passes


@contextmanager
def recorded_batches() -> Iterator[list[int]]:
    """Record the number of texts of each batch."""
    batches: list[int] = []
    forward = Decoder.forward

    def recording(self: Decoder, ids: torch.Tensor, packing: Any, **named: Any) -> torch.Tensor:
        batches.append(packing.texts)
        return forward(self, ids, packing, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Decoder, "forward", recording)
        yield batches
