"""Cut texts by the tokens of a model without loading its weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from echo_index.embeddings.models.resolve import find_model
from echo_index.embeddings.text.prompt_tokens import PromptTokenizer
from echo_index.embeddings.text.tokenizer import ModelTokenizer


def load_token_starts(model: str, *, max_tokens: int) -> Callable[[str], Sequence[int]]:
    """Return `EchoEncoder.token_starts` of an encoder of this model.

    Raises:
        ModelError: the model does not exist, or its tokenizer cannot be read.
        MissingPackage: a package that the model needs is not installed.
    """
    folder = find_model(model, notice=lambda line: None)
    return PromptTokenizer(ModelTokenizer.load(folder), max_tokens=max_tokens).token_starts
