"""What is measured: a model's files and the texts that fit it. Loads the model once, and lets it go again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.encode.corpus import draw_documents, draw_sentences, guide_sentences, hash_of
from benchmarks.encode.engines import linear_weights
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.bundled import EMBEDDED_MODELS
from echo_index.embeddings.models.language_model import load_model
from echo_index.errors import EchoIndexError
from echo_index.retriever.evaluation.datasets import SentencePairs

TIMED = ("documents", "sentences")
"""The corpora that are timed; "sts" is only embedded."""


@dataclass(frozen=True)
class Subject:
    """A model on disk and its corpora."""

    model: str
    folder: Path
    gguf: Path | None
    layer: int
    linear_weights: int
    """Of the layers up to the one that is read."""
    corpora: dict[str, list[str]]
    lengths: dict[str, list[int]]
    """Tokens of each text by the model's vocabulary, without prompt."""

    def told(self, corpus: str) -> str:
        """Return the size of a corpus in words."""
        lengths = self.lengths[corpus]
        return (
            f"{len(lengths)} texts of {min(lengths)} to {max(lengths)} tokens, median {median(lengths):.0f} "
            f"(corpus {hash_of(self.corpora[corpus])})"
        )


def load_subject(name: str, *, documents: int, sentences: int, pairs: SentencePairs | None, folder: Path) -> Subject:
    """Find a model and draw its corpora; `pairs` of an STS file, if any, are one more. `folder` takes what is unpacked.

    Raises:
        EchoIndexError: there is no such model.
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
        except EchoIndexError:  # converted before, and its package gone since
            return None
        return whole
    path = Path(name).expanduser()
    return path if path.suffix == ".gguf" and path.is_file() else None
