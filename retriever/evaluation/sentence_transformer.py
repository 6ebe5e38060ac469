"""Models of sentence-transformers: encoder of a baseline, and teacher of a training."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

import numpy as np

from echo_index.embeddings.decoder.linear import bfloat16_is_fast
from echo_index.embeddings.runtime.executor import run_on_executor
from echo_index.embeddings.training.trainer import Teacher
from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.errors import MissingPackage, ModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Side = Literal["query", "document"]


class SentenceTransformerEncoder:
    """A model by its folder or hub id, loaded at first use.

    Args:
        name: folder or hub id.
        purpose: what needs the model, for the error message.
        max_tokens: longer texts are truncated.
        use_bfloat16: several times faster on processors that support it; cosines differ by about 0.001.

    Raises:
        MissingPackage: sentence-transformers is not installed.
    """

    def __init__(self, name: str, *, purpose: str, max_tokens: int | None = None, use_bfloat16: bool = False) -> None:
        if find_spec("sentence_transformers") is None:
            raise MissingPackage(
                f"{purpose} {name} needs the package sentence-transformers.",
                remedy="Install it: pip install 'sentence-transformers>=5'",
            )
        self.name = name
        self._max_tokens = max_tokens
        self._use_bfloat16 = use_bfloat16

    def embed(self, side: Side, texts: Sequence[str]) -> Vectors:
        """Embed texts with the model's own defaults: unit vectors float32 (n, dimension).

        Raises:
            ModelError: the model cannot be loaded.
        """
        encode = self._model.encode_query if side == "query" else self._model.encode_document
        vectors = run_on_executor(
            lambda: encode(list(texts), normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False)
        )
        return np.asarray(vectors, dtype=np.float32)

    @cached_property
    def _model(self) -> SentenceTransformer:
        from sentence_transformers import SentenceTransformer

        model_options = {"dtype": "bfloat16"} if self._use_bfloat16 else None
        try:
            model = run_on_executor(lambda: SentenceTransformer(self.name, model_kwargs=model_options))
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelError(f"The sentence-transformers model {self.name} cannot be loaded: {reason}") from None
        if self._max_tokens is not None:
            model.max_seq_length = min(self._max_tokens, model.max_seq_length or self._max_tokens)
        return model


def sentence_transformer_teacher(name: str, *, max_tokens: int) -> Teacher:
    """Return a function that computes the cosines of queries and documents, as the teacher of a distillation.

    Raises:
        MissingPackage: sentence-transformers is not installed.
        ModelError: the model cannot be loaded.
    """
    model = SentenceTransformerEncoder(
        name, purpose="The teacher", max_tokens=max_tokens, use_bfloat16=bfloat16_is_fast()
    )
    model.embed("query", ["Is it there?"])  # an error of the model must come before the training

    def similarities(queries: Sequence[str], documents: Sequence[str]) -> Vectors:
        return np.asarray(model.embed("query", queries) @ model.embed("document", documents).T)

    return similarities
