"""Load the transformers model of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from safetensors import SafetensorError

from echo_index.embeddings.runtime.devices import Device
from echo_index.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def load_causal_lm(folder: Path, *, device: Device) -> PreTrainedModel:
    """Return the causal language model of a folder in float32, for inference only.

    Raises:
        ModelError: transformers cannot load it.
    """
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        # Some versions of transformers leave out the softcap of Gemma 2 in any other implementation of attention.
        has_softcap = getattr(config, "attn_logit_softcapping", None) is not None
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            attn_implementation="eager" if has_softcap else None,
            local_files_only=True,
        )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        raise unreadable_model(folder, error) from None
    return cast("PreTrainedModel", model.requires_grad_(False).eval().to(device.name))  # type: ignore[no-untyped-call]


def unreadable_model(folder: Path, error: Exception) -> ModelError:
    """Return the error for a model that cannot be loaded, with the first line of its cause."""
    cause = str(error).splitlines()[0] if str(error) else type(error).__name__
    return ModelError(f"The model in {folder} cannot be loaded: {cause}")
