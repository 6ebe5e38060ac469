"""A local model that writes texts, without LangChain: that takes almost half a second to load."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from echo_index.embeddings.decoder.prompt_cache import PromptTokens
from echo_index.embeddings.generation.chat_template import COMPLETION_END, Message, conversation_tokens
from echo_index.embeddings.generation.grammar import Grammar
from echo_index.embeddings.generation.text_generation import Generation, generate
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.model_loading import with_answer_adapter
from echo_index.errors import TextError


@dataclass(frozen=True, slots=True)
class LocalWriter:
    """A local language model that writes the most likely text, at most `max_tokens` of it.

    `load` returns the model. `answer_adapter` is that of `EchoChatModel`.
    """

    load: Callable[[], LanguageModel]
    max_tokens: int
    answer_adapter: str | None = "own"

    def load_answering(self) -> LanguageModel | None:
        """Return the model with its adapter for answers; None if there is none.

        Raises:
            ModelError: the adapter is not one for answers, or does not fit the model.
        """
        if self.answer_adapter is None:
            return None
        adapter = self.answer_adapter
        return with_answer_adapter(self.load(), "own" if adapter == "own" else Path(adapter).expanduser())

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Return the number of tokens of a conversation, with the model's chat template or completion format."""
        return len(conversation_tokens(self.load(), messages).ids)

    def stream(
        self,
        messages: Sequence[Message],
        *,
        stop: Sequence[str] | None = None,
        start_bias: Mapping[str, float] | None = None,
        answers: bool = False,
    ) -> Iterator[str]:
        """Write the next message of a conversation piece by piece; with `answers`, by the adapter for answers.

        Raises:
            TextError: the conversation is longer than the model's context.
        """
        model = (self.load_answering() if answers else None) or self.load()
        text = write_text(
            model,
            conversation_tokens(model, messages),
            max_tokens=self.max_tokens,
            stop=stop or (),
            start_bias=start_bias or {},
        )
        with closing(text):
            yield from visible_pieces(text, model)


def local_writer_of(model: object) -> LocalWriter | None:
    """Return the local writer that a model is, or that is behind an `EchoChatModel`; None for any other model."""
    writer = model if isinstance(model, LocalWriter) else getattr(model, "local_writer", None)
    return writer if isinstance(writer, LocalWriter) else None


def follows_instructions(model: object) -> bool:
    """Return whether a model does what it is told; a local base model only continues texts."""
    writer = local_writer_of(model)
    return writer is None or writer.load().generation_mode == "chat"


def write_text(
    model: LanguageModel,
    prompt: PromptTokens,
    *,
    max_tokens: int,
    stop: Sequence[str],
    start_bias: Mapping[str, float],
    temperature: float = 0.0,
    seed: int | None = None,
    grammar: Grammar | None = None,
) -> Generation:
    """Return the text that a model writes after a prompt, cut where its context ends; `start_bias` is by text.

    Raises:
        TextError: the prompt is longer than the model's context, or a setting is invalid.
    """
    available = model.context - len(prompt.ids)
    if available < 1:
        raise TextError(
            f"The conversation has {len(prompt.ids)} tokens; the model {model.name} holds {model.context}.",
            remedy="Shorten it, or use a model with a longer context.",
        )
    if "" in start_bias:
        raise TextError("A text of start_bias is empty: it has no first token.")
    return generate(
        model,
        prompt,
        max_tokens=min(max_tokens, available),
        stop=stop,
        temperature=temperature,
        seed=seed,
        start_bias={model.tokenizer.encode(text)[0]: bias for text, bias in start_bias.items()},
        grammar=grammar,
    )


def visible_pieces(text: Iterator[str], model: LanguageModel) -> Iterator[str]:
    """Yield the pieces of a message: without the white space that a base model starts with, and its first line only."""
    pieces = _skip_leading_space(text)
    return _first_line(pieces) if model.generation_mode == "completion" else pieces


def _skip_leading_space(pieces: Iterator[str]) -> Iterator[str]:
    for piece in pieces:
        if text := piece.lstrip():
            yield text
            yield from pieces


def _first_line(pieces: Iterator[str]) -> Iterator[str]:
    for piece in pieces:
        line, end, _ = piece.partition(COMPLETION_END)
        if line:
            yield line
        if end:
            return
