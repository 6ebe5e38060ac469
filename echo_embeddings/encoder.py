"""EchoEncoder: texts in, unit vectors out. Joins prompts, tokens, batches, engine and pooling; knows no files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from echo_index.embeddings.decoder.linear import Precision, int8_is_fast
from echo_index.embeddings.decoder.precision_check import MIN_FIDELITY, cached_fidelity, centered_cosines
from echo_index.embeddings.encoder_config import (
    FORMAT,
    EncoderConfig,
    differences,
    dtype_of,
    fingerprint,
    precision_of,
)
from echo_index.embeddings.hidden_states import HiddenStateExtractor
from echo_index.embeddings.models.gguf import Notice
from echo_index.embeddings.models.language_model import LanguageModel, load_model
from echo_index.embeddings.runtime.devices import DeviceChoice
from echo_index.embeddings.runtime.executor import run_on_executor
from echo_index.embeddings.text.batching import batches_by_length
from echo_index.embeddings.text.echo_prompt import EchoPrompt
from echo_index.embeddings.text.prompt_tokens import EchoTokens, PromptTokenizer
from echo_index.embeddings.vectors.layer_views import LayerView, TextPass, chosen_views, deepest_layer, told_views
from echo_index.embeddings.vectors.paired_embeddings import EmbeddingPair
from echo_index.embeddings.vectors.pooling import Pooling
from echo_index.embeddings.vectors.vector_ops import Vectors, l2_normalize
from echo_index.errors import ModelError, PromptError

Progress = Callable[[int, int], None]
"""Told how many texts are done, of how many."""

PrecisionChoice = Precision | Literal["auto", "fp32", "bf16", "int8"]
"""A precision, or "auto": int8 where it is fast here and measured to be nearly as good, else fp32."""

_BATCH_TOKENS = {"cpu": 1024, "cuda": 32768}


class EchoEncoder:
    """Echo embeddings of one language model (arXiv 2402.15449). Thread-safe.

    What is left out is taken from the model's profile. `layer` counts as `hidden_states` does in transformers; written
    as `parse_views` reads it, it names several views of a text, whose weighted unit vectors are added up. `max_tokens`
    limits each copy of a text, `instruction` is the task of queries that name none, `batch_tokens` is the most tokens
    of one batch, padding included: it changes speed and memory, never vectors. `precision` is that of the matrix
    products; "auto" measures it once for each model and keeps the figure in the cache folder.

    Raises:
        ModelError: the model has no such layer, or does not run in this precision here; there is no such precision.
        PromptError: a layer that cannot be read, or views of the first copy where a prompt reads a text once.
    """

    def __init__(
        self,
        model: LanguageModel,
        *,
        document_prompt: EchoPrompt | None = None,
        query_prompt: EchoPrompt | None = None,
        pooling: Pooling | str | None = None,
        layer: int | str | None = None,
        max_tokens: int | None = None,
        instruction: str | None = None,
        precision: PrecisionChoice = "fp32",
        batch_tokens: int | None = None,
    ) -> None:
        profile = model.profile
        self.model = model
        self.document_prompt = document_prompt or profile.document
        self.query_prompt = query_prompt or profile.query
        self.pooling = Pooling(pooling or profile.pooling)
        self.instruction = profile.instruction if instruction is None else instruction
        self.max_tokens = max_tokens or profile.max_tokens
        self.views = chosen_views(layer, profile.views or (LayerView(TextPass.ECHO, model.depth),), self.is_echo)
        if model.head is not None and self.views != profile.views:
            raise ModelError(
                f"The head of {model.adapter} is for layer {told_views(profile.views or ())}, not {self.layer}.",
                remedy="Leave out --layer, or the adapter.",
            )
        self._tokenizer = PromptTokenizer(model.tokenizer, max_tokens=self.max_tokens)
        self._batch_tokens = batch_tokens or _BATCH_TOKENS[model.device.name]
        self.precision = self._best_precision() if precision == "auto" else _precision(precision)
        self._extractor = HiddenStateExtractor(
            model, layers={view.layer for view in self.views}, precision=self.precision
        )

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return self.model.dimension

    @property
    def layer(self) -> int | str:
        """The layer that is read; where there are several views, all of them, as `parse_views` reads them."""
        return told_views(self.views)

    @property
    def is_echo(self) -> bool:
        """Whether the prompts of both sides have a first copy."""
        return self.document_prompt.is_echo and self.query_prompt.is_echo

    @property
    def deepest_layer(self) -> int:
        """The last layer that is read."""
        return deepest_layer(self.views)

    def encode_documents(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        """Embed texts that are to be found: float32 (n, dimension), unit rows, in the order of `texts`.

        Raises:
            TextError: a text is empty.
        """
        return self._encode(self.document_tokens(texts), progress)

    def encode_document_pairs(self, texts: Sequence[str]) -> Iterator[tuple[list[int], EmbeddingPair]]:
        """Embed as `encode_documents` does, in both ways; yield each batch when it is ready: (positions, readings).

        Raises:
            TextError: a text is empty.
        """
        yield from self._embedding_pairs(self.document_tokens(texts))

    def document_views(self, texts: Sequence[str]) -> Iterator[tuple[list[int], list[Vectors]]]:
        """Embed texts by each view on its own, in one pass; yield each batch: (positions, vectors of each view).

        Vectors are float32 (texts of the batch, dimension), unit rows, in the order of `views`.

        Raises:
            TextError: a text is empty.
        """
        yield from self._pooled(self.document_tokens(texts), self.views)

    def query_views(
        self, texts: Sequence[str], *, instruction: str | None = None
    ) -> Iterator[tuple[list[int], list[Vectors]]]:
        """Embed questions by each view on its own, as `document_views` does texts.

        Raises:
            TextError: a text is empty.
            PromptError: an instruction was given and the query prompt has no place for it.
        """
        yield from self._pooled(self.query_tokens(texts, instruction=instruction), self.views)

    def encode_queries(self, texts: Sequence[str], *, instruction: str | None = None) -> Vectors:
        """Embed questions, with the task in words: float32 (n, dimension), unit rows, in the order of `texts`.

        Raises:
            TextError: a text is empty.
            PromptError: an instruction was given and the query prompt has no place for it.
        """
        return self._encode(self.query_tokens(texts, instruction=instruction), None)

    def encode_query_pairs(self, texts: Sequence[str], *, instruction: str | None = None) -> EmbeddingPair:
        """Embed questions as `encode_queries` does, in both ways.

        Raises:
            TextError: a text is empty.
            PromptError: an instruction was given and the query prompt has no place for it.
        """
        batches = self._embedding_pairs(self.query_tokens(texts, instruction=instruction))
        return EmbeddingPair.gather(batches, shape=(len(texts), self.dimension))

    def token_starts(self, text: str) -> Sequence[int]:
        """Return the character offset at which each of the model's tokens begins in `text`, ascending."""
        return self._tokenizer.token_starts(text)

    @classmethod
    def from_config(
        cls,
        config: EncoderConfig,
        *,
        model: str | None = None,
        device: DeviceChoice = "auto",
        notice: Notice = lambda line: None,
    ) -> EchoEncoder:
        """Load the model that a description names and return the encoder that it describes.

        `model` is where that model lies now, if it has moved. The weights may have changed since: compare the
        fingerprints.

        Raises:
            ModelError: the model is not there any more.
        """
        adapter = config["adapter"]
        precision = precision_of(str(config["dtype"]))
        if precision is Precision.INT8 and device == "auto":
            device = "cpu"  # no other device runs it
        loaded = load_model(
            str(config["model"]) if model is None else model,
            adapter="own" if adapter == "own" else None if adapter is None else Path(str(adapter)),
            device=device,
            notice=notice,
        )
        return cls(
            loaded,
            document_prompt=EchoPrompt(str(config["document_prompt"])),
            query_prompt=EchoPrompt(str(config["query_prompt"])),
            instruction=str(config["instruction"]),
            pooling=str(config["pooling"]),
            layer=config["layer"],
            max_tokens=int(config["max_tokens"] or 0),
            precision=precision,
        )

    def with_options(
        self,
        *,
        document_prompt: EchoPrompt | None = None,
        query_prompt: EchoPrompt | None = None,
        pooling: Pooling | str | None = None,
        layer: int | str | None = None,
        max_tokens: int | None = None,
        precision: PrecisionChoice | None = None,
    ) -> EchoEncoder:
        """Return an encoder of the same loaded model that differs in what is given.

        Views of the first copy are left out where new prompts have none, unless `layer` names them.
        """
        document_prompt, query_prompt = document_prompt or self.document_prompt, query_prompt or self.query_prompt
        views = chosen_views(None, self.views, document_prompt.is_echo and query_prompt.is_echo)
        return EchoEncoder(
            self.model,
            document_prompt=document_prompt,
            query_prompt=query_prompt,
            instruction=self.instruction,
            pooling=pooling or self.pooling,
            layer=told_views(views) if layer is None else layer,
            max_tokens=max_tokens or self.max_tokens,
            precision=precision or self.precision,
            batch_tokens=self._batch_tokens,
        )

    def config(self) -> EncoderConfig:
        """Return all that decides what the vectors are, readable: what the fingerprint is made of."""
        return {
            "format": FORMAT,
            "model": self.model.name,
            "adapter": self.model.adapter_name,
            "weights": self.model.weights_hash,
            "dtype": dtype_of(self.precision),
            "document_prompt": self.document_prompt.template,
            "query_prompt": self.query_prompt.template,
            "instruction": self.instruction,
            "pooling": self.pooling.value,
            "layer": self.layer,
            "max_tokens": self.max_tokens,
            "dimension": self.dimension,
        }

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the description but for the model's name, in hexadecimal: equal means comparable vectors."""
        return fingerprint(self.config())

    def differences(self, before: EncoderConfig) -> list[str]:
        """Return what differs from the encoder of a description, a clause each; empty where vectors are comparable."""
        return differences(before, self.config())

    def document_tokens(self, texts: Sequence[str]) -> list[EchoTokens]:
        """Return the tokens of texts that are to be found, in their prompt.

        Raises:
            TextError: a text is empty.
        """
        return self._tokenizer.assemble(self.document_prompt, texts)

    def query_tokens(self, texts: Sequence[str], *, instruction: str | None = None) -> list[EchoTokens]:
        """Return the tokens of questions, in their prompt with the task.

        Raises:
            TextError: a text is empty.
            PromptError: an instruction was given and the query prompt has no place for it.
        """
        if instruction is not None and not self.query_prompt.takes_instruction:
            raise PromptError(f"The query prompt {self.query_prompt.template!r} has no {{instruction}} slot.")
        task = self.instruction if instruction is None else instruction
        return self._tokenizer.assemble(self.query_prompt, texts, instruction=task)

    def _best_precision(self) -> Precision:
        if not (self.model.uses_native_decoder and run_on_executor(int8_is_fast)):
            return Precision.FP32
        fast = self.with_options(precision=Precision.INT8)

        def measure(texts: Sequence[str]) -> np.ndarray:
            exact = self.with_options(precision=Precision.FP32)
            return centered_cosines(fast.encode_documents(texts), exact.encode_documents(texts))

        fidelity = cached_fidelity(fast.fingerprint, measure)
        return Precision.INT8 if fidelity >= MIN_FIDELITY else Precision.FP32

    def _encode(self, sequences: list[EchoTokens], progress: Progress | None) -> Vectors:
        vectors = np.empty((len(sequences), self.dimension), dtype=np.float32)
        done = 0
        for positions, views in self._pooled(sequences, self.views):
            vectors[positions] = self._together(views)
            done += len(positions)
            if progress is not None:
                progress(done, len(sequences))
        return vectors

    def _embedding_pairs(self, sequences: list[EchoTokens]) -> Iterator[tuple[list[int], EmbeddingPair]]:
        reads_twice = all(tokens.first_copy is not None for tokens in sequences)
        of_text = (view.layer for view in self.views if view.text_pass is TextPass.TEXT)
        classical = [LayerView(TextPass.TEXT, next(of_text, self.deepest_layer))] if reads_twice else []
        for positions, views in self._pooled(sequences, [*self.views, *classical]):
            yield positions, EmbeddingPair(self._together(views[: len(self.views)]), views[-1] if reads_twice else None)

    def _together(self, vectors: Sequence[Vectors]) -> Vectors:
        """Put the unit vectors of all views through the head, or add them up by weight; rows of unit length."""
        if self.model.head is not None:
            return self.model.head.combine(vectors)
        if len(self.views) == 1:
            return vectors[0]
        weighted = [view.weight * each for view, each in zip(self.views, vectors, strict=True)]
        return l2_normalize(np.sum(weighted, axis=0, dtype=np.float32))

    def _pooled(
        self, sequences: list[EchoTokens], views: Sequence[LayerView]
    ) -> Iterator[tuple[list[int], list[Vectors]]]:
        """Yield batch after batch: (positions in `sequences`, the vectors of each view)."""
        lengths = [len(tokens) for tokens in sequences]
        together = list(batches_by_length(lengths, token_budget=self._batch_tokens))
        batches = ([sequences[position] for position in positions] for positions in together)
        wanted = (
            (batch, [(view.layer, [tokens.span(view.text_pass) for tokens in batch]) for view in views])
            for batch in batches
        )
        yield from zip(together, self._extractor.pooled_batches(wanted, self.pooling), strict=True)


def _precision(name: Precision | str) -> Precision:
    try:
        return Precision(name)
    except ValueError:
        names = ", ".join(("auto", *(each.value for each in Precision)))
        raise ModelError(f"There is no precision {name!r}.", remedy=f"The precisions are: {names}.") from None
