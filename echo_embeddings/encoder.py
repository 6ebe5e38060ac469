"""Embed texts with a language model: prompts, tokens, batches, hidden states and pooling in one class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from echo_index.embeddings.decoder.linear import Precision
from echo_index.embeddings.decoder.precision_check import (
    MIN_FIDELITY,
    cached_fidelity,
    cached_seconds,
    centered_cosines,
    clearly_fastest,
    native_precisions,
)
from echo_index.embeddings.encoder_config import (
    FORMAT,
    EncoderConfig,
    differences,
    dtype_of,
    fingerprint,
    parse_precision,
    precision_of,
)
from echo_index.embeddings.gpu.batch_budget import batch_token_budget
from echo_index.embeddings.hidden_states import HiddenStateExtractor
from echo_index.embeddings.models.gguf import Notice
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.linear_head import combine_views
from echo_index.embeddings.models.model_loading import load_model
from echo_index.embeddings.models.profiles import find_profile
from echo_index.embeddings.runtime.devices import DeviceChoice
from echo_index.embeddings.runtime.executor import run_on_executor
from echo_index.embeddings.text.batching import batches_by_length
from echo_index.embeddings.text.echo_prompt import EchoPrompt
from echo_index.embeddings.text.prompt_tokens import EchoTokens, PromptTokenizer
from echo_index.embeddings.vectors.layer_views import LayerView, TextPass, deepest_layer, format_views, select_views
from echo_index.embeddings.vectors.paired_embeddings import EmbeddingPair
from echo_index.embeddings.vectors.pooling import Pooling
from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.errors import ModelError

Progress = Callable[[int, int], None]
"""Called with the number of finished texts and the total."""

PrecisionName = Literal["fp32", "bf16", "int8"]
PrecisionChoice = Precision | PrecisionName | Literal["auto"]
"""A precision, or "auto" for the one that `EchoEncoder.best_precision` chooses."""


class EchoEncoder:
    """Computes embeddings with a language model as its profile says, by default echo embeddings (arXiv 2402.15449).

    Thread-safe.

    Args:
        layer: Layer to read, as in `hidden_states` of transformers, or a weighted sum of views as in `parse_views`.
        max_tokens: Maximum number of tokens of each copy of a text; the rest is cut off.
        instruction: Task instruction of queries without their own.
        precision: Precision of the matrix products. See `with_precision` for "auto".
        batch_tokens: Maximum number of tokens in a batch, including padding; by default what the device has memory for.
            It changes speed and memory only.

    Raises:
        ModelError: the layer or the precision does not exist, or the model cannot run in this precision on its device.
        PromptError: `layer` names the first copy of the text, which the prompts do not have.
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
        precision: Precision | PrecisionName = "fp32",
        batch_tokens: int | None = None,
    ) -> None:
        profile = model.profile
        self.model = model
        self.document_prompt = document_prompt or profile.document
        self.query_prompt = query_prompt or profile.query
        self.pooling = Pooling(pooling or profile.pooling)
        self.instruction = profile.instruction if instruction is None else instruction
        self.max_tokens = max_tokens or profile.max_tokens
        self.views = select_views(layer, profile.views or (LayerView(TextPass.ECHO, model.depth),), self.is_echo)
        if model.head is not None and self.views != profile.views:
            raise ModelError(
                f"The head of {model.adapter} is for layer {format_views(profile.views or ())}, not {self.layer}.",
                remedy="Leave out --layer or the adapter.",
            )
        self._tokenizer = PromptTokenizer(model.tokenizer, max_tokens=self.max_tokens)
        self._batch_tokens = batch_tokens
        self.precision = parse_precision(precision)
        self._extractor = HiddenStateExtractor(
            model, layers={view.layer for view in self.views}, precision=self.precision
        )

    @property
    def dimension(self) -> int:
        """The dimension of the vectors."""
        return self.model.dimension

    @property
    def layer(self) -> int | str:
        """The layer to read, or several views in the notation of `parse_views`."""
        return format_views(self.views)

    @property
    def is_echo(self) -> bool:
        """Whether both prompts contain the text twice."""
        return self.document_prompt.is_echo and self.query_prompt.is_echo

    @property
    def deepest_layer(self) -> int:
        """The deepest layer that is read."""
        return deepest_layer(self.views)

    def encode_documents(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        """Embed documents: float32 (n, dimension), unit rows, in the order of `texts`.

        Raises:
            TextError: a text is empty.
        """
        return self.encode_tokens(self.document_tokens(texts), progress=progress)

    def encode_document_pairs(self, texts: Sequence[str]) -> Iterator[tuple[list[int], EmbeddingPair]]:
        """Embed documents as echo and as classical embeddings; yield batches of (positions in `texts`, embeddings).

        Raises:
            TextError: a text is empty.
        """
        yield from self._embedding_pairs(self.document_tokens(texts))

    def document_views(self, texts: Sequence[str]) -> Iterator[tuple[list[int], list[Vectors]]]:
        """Embed documents by each view separately, in one pass; yield batches of (positions in `texts`, vectors).

        There is one array for each view, in the order of `views`: float32 (texts of the batch, dimension), unit rows.

        Raises:
            TextError: a text is empty.
        """
        yield from self._pooled(self.document_tokens(texts), self.views)

    def query_views(
        self, texts: Sequence[str], *, instruction: str | None = None
    ) -> Iterator[tuple[list[int], list[Vectors]]]:
        """Embed queries by each view separately, as `document_views` does with documents.

        Raises:
            TextError: a text is empty.
            PromptError: an instruction is given, but the query prompt has no slot for it.
        """
        yield from self._pooled(self.query_tokens(texts, instruction=instruction), self.views)

    def encode_queries(self, texts: Sequence[str], *, instruction: str | None = None) -> Vectors:
        """Embed queries with a task instruction: float32 (n, dimension), unit rows, in the order of `texts`.

        Raises:
            TextError: a text is empty.
            PromptError: an instruction is given, but the query prompt has no slot for it.
        """
        return self.encode_tokens(self.query_tokens(texts, instruction=instruction))

    def encode_query_pairs(self, texts: Sequence[str], *, instruction: str | None = None) -> EmbeddingPair:
        """Embed queries as echo and as classical embeddings.

        Raises:
            TextError: a text is empty.
            PromptError: an instruction is given, but the query prompt has no slot for it.
        """
        batches = self._embedding_pairs(self.query_tokens(texts, instruction=instruction))
        return EmbeddingPair.gather(batches, shape=(len(texts), self.dimension))

    def token_starts(self, text: str) -> Sequence[int]:
        """Return the character offset at which each token of `text` begins, in ascending order."""
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
        """Load the model that a config names and return the encoder with its settings.

        The weights may have changed since the config was made: compare the fingerprints.

        `model` is the present name or path of the model, if it was moved.

        Raises:
            ModelError: the model is missing or cannot be read.
        """
        adapter = config["adapter"]
        precision = precision_of(str(config["dtype"]))
        if precision is Precision.INT8 and device == "auto":
            device = "cpu"  # the only device for int8
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
        instruction: str | None = None,
        pooling: Pooling | str | None = None,
        layer: int | str | None = None,
        max_tokens: int | None = None,
        precision: Precision | PrecisionName | None = None,
    ) -> EchoEncoder:
        """Return an encoder of the same loaded model with the given settings changed.

        Views of the first copy are dropped if the new prompts do not have one, unless `layer` names them.
        """
        document_prompt, query_prompt = document_prompt or self.document_prompt, query_prompt or self.query_prompt
        views = select_views(None, self.views, document_prompt.is_echo and query_prompt.is_echo)
        return EchoEncoder(
            self.model,
            document_prompt=document_prompt,
            query_prompt=query_prompt,
            instruction=self.instruction if instruction is None else instruction,
            pooling=pooling or self.pooling,
            layer=format_views(views) if layer is None else layer,
            max_tokens=max_tokens or self.max_tokens,
            precision=precision or self.precision,
            batch_tokens=self._batch_tokens,
        )

    def with_profile(self, name: str) -> EchoEncoder:
        """Return an encoder of the same loaded model with the settings of a known model, by the name of its profile.

        For a copy of a model in a folder: by its path, nobody knows which model it is.

        Raises:
            ModelError: there is no such profile, or it names a layer that the model does not have.
        """
        profile = find_profile(name)
        return self.with_options(
            document_prompt=profile.document,
            query_prompt=profile.query,
            instruction=profile.instruction,
            pooling=profile.pooling,
            layer=format_views(profile.views) if profile.views else self.model.depth,
            max_tokens=profile.max_tokens,
        )

    def with_precision(self, choice: PrecisionChoice) -> EchoEncoder:
        """Return an encoder of the same loaded model in this precision; "auto" is the result of `best_precision`.

        Raises:
            ModelError: the precision does not exist, or the model cannot run in it on its device.
        """
        precision = self.best_precision() if choice == "auto" else parse_precision(choice)
        return self if precision is self.precision else self.with_options(precision=precision)

    def best_precision(self) -> Precision:
        """Return the fastest precision on this machine of those that are nearly as accurate as fp32 for this encoder.

        Accuracy and time are measured with sample texts. The cache stores the accuracy by fingerprint, and the time by
        model and machine.
        """
        if not self.model.embeds_natively:
            return Precision.FP32
        exact = self.with_options(precision=Precision.FP32)
        device = self.model.device.name
        precisions = run_on_executor(lambda: native_precisions(device))
        fast = [self.with_options(precision=precision) for precision in precisions]
        encoders = [exact, *(encoder for encoder in fast if encoder._fidelity(exact) >= MIN_FIDELITY)]
        if len(encoders) == 1:
            return Precision.FP32
        model = f"{self.model.weights_hash} {self.deepest_layer}"
        return clearly_fastest(
            cached_seconds(model, {encoder.precision: encoder.encode_documents for encoder in encoders}, device=device)
        )

    def _fidelity(self, exact: EchoEncoder) -> float:
        def measure(texts: Sequence[str]) -> np.ndarray:
            return centered_cosines(self.encode_documents(texts), exact.encode_documents(texts))

        return cached_fidelity(self.fingerprint, measure)

    def config(self) -> EncoderConfig:
        """Return all settings that determine the vectors; the fingerprint is computed from them."""
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
        """SHA-256 of the config without the locations of the weights, in hexadecimal; equal for comparable vectors."""
        return fingerprint(self.config())

    def differences(self, config: EncoderConfig) -> list[str]:
        """Return a clause for each difference from an earlier config; empty if vectors are comparable."""
        return differences(config, self.config())

    def document_tokens(self, texts: Sequence[str]) -> list[EchoTokens]:
        """Return the tokens of documents in their prompt.

        Raises:
            TextError: a text is empty.
        """
        return self._tokenizer.assemble(self.document_prompt, texts)

    def query_tokens(self, texts: Sequence[str], *, instruction: str | None = None) -> list[EchoTokens]:
        """Return the tokens of queries in their prompt with the task instruction.

        Raises:
            TextError: a text is empty.
            PromptError: an instruction is given, but the query prompt has no slot for it.
        """
        return self._tokenizer.assemble_queries(
            self.query_prompt, texts, instruction=instruction, default=self.instruction
        )

    def encode_tokens(self, sequences: Sequence[EchoTokens], *, progress: Progress | None = None) -> Vectors:
        """Embed texts by their tokens from `document_tokens` or `query_tokens`: float32 (n, dimension), unit rows."""
        vectors = np.empty((len(sequences), self.dimension), dtype=np.float32)
        done = 0
        for positions, views in self._pooled(sequences, self.views):
            vectors[positions] = self._combine(views)
            done += len(positions)
            if progress is not None:
                progress(done, len(sequences))
        return vectors

    def _embedding_pairs(self, sequences: list[EchoTokens]) -> Iterator[tuple[list[int], EmbeddingPair]]:
        has_first_copy = all(tokens.first_copy is not None for tokens in sequences)
        text_layers = (view.layer for view in self.views if view.text_pass is TextPass.TEXT)
        classical = [LayerView(TextPass.TEXT, next(text_layers, self.deepest_layer))] if has_first_copy else []
        for positions, views in self._pooled(sequences, [*self.views, *classical]):
            yield positions, EmbeddingPair(self._combine(views[: len(self.views)]), views[-1] if classical else None)

    def _combine(self, vectors: Sequence[Vectors]) -> Vectors:
        """Combine the unit vectors of all views by the linear head, or by their weighted sum: unit rows."""
        return combine_views(vectors, self.views, self.model.head)

    def _pooled(
        self, sequences: Sequence[EchoTokens], views: Sequence[LayerView]
    ) -> Iterator[tuple[list[int], list[Vectors]]]:
        """Yield batches of (positions in `sequences`, the vectors of each view)."""
        lengths = [len(tokens) for tokens in sequences]
        token_budget = self._batch_tokens or batch_token_budget(self.model)
        batch_positions = list(batches_by_length(lengths, token_budget=token_budget))
        batches = ([sequences[position] for position in positions] for positions in batch_positions)
        requests = (
            (batch, [(view.layer, [tokens.span(view.text_pass) for tokens in batch]) for view in views])
            for batch in batches
        )
        yield from zip(batch_positions, self._extractor.pooled_batches(requests, self.pooling), strict=True)
