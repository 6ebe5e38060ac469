"""The model under test and its corpora."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.encode.corpus import draw_documents, draw_sentences, guide_sentences, hash_of
from benchmarks.encode.engines import linear_weights
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.bundled import EMBEDDED_MODELS
from echo_index.embeddings.models.model_loading import load_model
from echo_index.errors import EchoIndexError
from echo_index.retriever.evaluation.datasets import SentencePairs

TIMED = ("documents", "sentences")
"""The corpora that are timed; "sts" is embedded without timing."""


@dataclass(frozen=True)
class Subject:
    """A model on disk and its corpora."""

    model: str
    folder: Path
    gguf: Path | None
    layer: int
    linear_weights: int
    """Linear weights of the layers up to `layer`."""
    corpora: dict[str, list[str]]
    lengths: dict[str, list[int]]
    """Tokens of each text, without the prompt."""

    def describe(self, corpus: str) -> str:
        """Describe the size of a corpus."""
        lengths = self.lengths[corpus]
        return (
            f"{len(lengths)} texts of {min(lengths)} to {max(lengths)} tokens, median {median(lengths):.0f} "
            f"(corpus {hash_of(self.corpora[corpus])})"
        )


def load_subject(name: str, *, documents: int, sentences: int, pairs: SentencePairs | None, folder: Path) -> Subject:
    """Load a model and draw its corpora; STS `pairs` are a further corpus. `folder` is for unpacked files.

    Raises:
        EchoIndexError: the model does not exist.
    """
    model = load_model(name, device="cpu")
    vocabulary = model.tokenizer
    layer = EchoEncoder(model).deepest_layer
    guide = guide_sentences()
    corpora = {
        "documents": draw_documents(guide, vocabulary, count=documents),
        "sentences": draw_sentences(guide, vocabulary, count=sentences),
    }
    if pairs:
        corpora["sts"] = [*pairs.first, *pairs.second]
    return Subject(
        model=name,
        folder=model.folder,
        gguf=_gguf(name, folder),
        layer=layer,
        linear_weights=linear_weights(model.base_model, layer=layer),
        corpora=corpora,
        lengths={
            corpus: [len(encoding.ids) for encoding in vocabulary.encode_batch(texts)]
            for corpus, texts in corpora.items()
        },
    )


def _gguf(name: str, folder: Path) -> Path | None:
    if name in EMBEDDED_MODELS:
        whole = folder / "model.gguf"
        try:
            EMBEDDED_MODELS[name].assemble(whole)
        except EchoIndexError:  # the model was converted before, and its package has been removed since
            return None
        return whole
    path = Path(name).expanduser()
    return path if path.suffix == ".gguf" and path.is_file() else None
