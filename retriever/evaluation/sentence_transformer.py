"""Models of sentence-transformers, the one place where that library is used. Knows no rows and no training."""

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
    """A model by its folder or hub id, loaded when it is first needed, which reads `most_tokens` of a text at most.

    `in_bfloat16` are cosines that are off by a thousandth, several times faster where the processor is made for it.

    Raises:
        MissingPackage: sentence-transformers is not installed; `needing` says for what it is needed.
    """

    def __init__(self, name: str, *, needing: str, most_tokens: int | None = None, in_bfloat16: bool = False) -> None:
        if find_spec("sentence_transformers") is None:
            raise MissingPackage(
                f"{needing} {name} needs the package sentence-transformers.",
                remedy="Install it: pip install 'sentence-transformers>=5'",
            )
        self.name = name
        self._most_tokens = most_tokens
        self._in_bfloat16 = in_bfloat16

    def embed(self, side: Side, texts: Sequence[str]) -> Vectors:
        """Embed texts by the model's own defaults: float32 (n, dimension), unit rows.

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

        loading = {"dtype": "bfloat16"} if self._in_bfloat16 else None
        try:
            model = run_on_executor(lambda: SentenceTransformer(self.name, model_kwargs=loading))
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelError(f"The sentence-transformers model {self.name} cannot be loaded: {reason}") from None
        if self._most_tokens is not None:
            model.max_seq_length = min(self._most_tokens, model.max_seq_length or self._most_tokens)
        return model


def sentence_transformer_teacher(name: str, *, most_tokens: int) -> Teacher:
    """Return what tells the cosines of queries and documents by a model of sentence-transformers.

    Raises:
        MissingPackage: sentence-transformers is not installed.
        ModelError: the model cannot be loaded.
    """
    model = SentenceTransformerEncoder(
        name, needing="The teacher", most_tokens=most_tokens, in_bfloat16=bfloat16_is_fast()
    )
    model.embed("query", ["Is it there?"])  # before anything is trained

    def similarities(queries: Sequence[str], documents: Sequence[str]) -> Vectors:
        return np.asarray(model.embed("query", queries) @ model.embed("document", documents).T)

    return similarities
