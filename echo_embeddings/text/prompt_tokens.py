"""Prompt and text to token ids and the spans to pool. The text is tokenized once and placed twice. No torch here."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from echo_index.embeddings.text.echo_prompt import EchoPrompt, Slot
from echo_index.embeddings.text.tokenizer import ModelTokenizer
from echo_index.embeddings.vectors.layer_views import TextPass
from echo_index.errors import PromptError, TextError

_SLICE = 100_000  # characters


@dataclass(frozen=True, slots=True)
class EchoTokens:
    """One text in its prompt, ready for the model: token ids and the half-open span `[start, end)` to pool.

    `first_copy` is the half-open span of the first copy of the text, None where the prompt reads it once. The first
    `fixed` tokens are those of the prompt before any text: the same for all texts of one call.
    """

    ids: tuple[int, ...]
    start: int
    end: int
    first_copy: tuple[int, int] | None
    fixed: int = 0

    def __len__(self) -> int:
        """Count the tokens."""
        return len(self.ids)

    def span(self, copy: TextPass) -> tuple[int, int]:
        """Return the half-open span of a copy of the text; who asks for the first knows that there is one."""
        if copy is TextPass.ECHO:
            return self.start, self.end
        assert self.first_copy is not None
        return self.first_copy


class PromptTokenizer:
    """Puts texts into prompts, piece by piece, so that the pooled spans are known by construction.

    `max_tokens` limits each copy of the text (and the instruction) to its first so many whole tokens.
    """

    def __init__(self, tokenizer: ModelTokenizer, *, max_tokens: int) -> None:
        if max_tokens < 1:
            raise TextError(f"max_tokens is {max_tokens}; each copy of a text needs at least one token.")
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens

    def assemble(self, prompt: EchoPrompt, texts: Sequence[str], *, instruction: str | None = None) -> list[EchoTokens]:
        """Return one EchoTokens for each text, in order.

        Raises:
            TextError: a text without a single token has nothing to pool; a text is not valid Unicode.
            PromptError: the prompt takes an instruction and there is none, or the model has no end token.
        """
        literals = [piece for piece in prompt.pieces if isinstance(piece, str)]
        fixed = dict(zip(literals, token_ids(self._tokenizer, literals), strict=True))
        task = token_ids(self._tokenizer, [self._task(prompt, instruction)])[0][: self._max_tokens]
        if Slot.END in prompt.pieces and self._tokenizer.end_id is None:
            raise PromptError(f"The template {prompt.template!r} asks for {{end}}, but this model has no end token.")
        assembled = []
        for number, ids in enumerate(token_ids(self._tokenizer, texts)):
            if not ids:
                raise TextError(f"Text {number} of {len(texts)} is empty: there is nothing to embed.")
            assembled.append(self._place(prompt, fixed, task, ids[: self._max_tokens]))
        return assembled

    def token_starts(self, text: str) -> Sequence[int]:
        """Return the character offset at which each token of `text` begins, in ascending order.

        A long text is tokenized in slices of at most 100,000 characters, so that it takes little memory.
        """
        starts = array("I")
        for begin, end in _slices(text):
            encoding = self._tokenizer.encode_batch([text[begin:end]])[0]
            starts.extend(begin + start for start, _ in encoding.offsets)
        return starts

    def _task(self, prompt: EchoPrompt, instruction: str | None) -> str:
        if prompt.takes_instruction and instruction is None:
            raise PromptError(f"The template {prompt.template!r} takes an instruction, and none was given.")
        return instruction or ""

    def _place(
        self, prompt: EchoPrompt, fixed: dict[str, list[int]], task: Sequence[int], text: Sequence[int]
    ) -> EchoTokens:
        ids = [] if self._tokenizer.bos_id is None else [self._tokenizer.bos_id]
        start = end = 0
        first_copy = None
        for piece in prompt.pieces:
            match piece:
                case Slot.INSTRUCTION:
                    ids += task
                case Slot.TEXT:
                    first_copy = (len(ids), len(ids) + len(text))
                    ids += text
                case Slot.ECHO:
                    start = len(ids)
                    ids += text
                    end = len(ids)
                case Slot.END:
                    assert self._tokenizer.end_id is not None
                    ids.append(self._tokenizer.end_id)
                    end = len(ids)
                case str():
                    ids += fixed[piece]
        before_any_text = start if first_copy is None else first_copy[0]
        return EchoTokens(ids=tuple(ids), start=start, end=end, first_copy=first_copy, fixed=before_any_text)


def token_ids(tokenizer: ModelTokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Return the token ids of each text, without special tokens.

    Raises:
        TextError: a text is not valid Unicode.
    """
    try:
        return [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    except (TypeError, UnicodeEncodeError):
        number = next(number for number, text in enumerate(texts) if not _is_unicode(text))
        raise TextError(f"Text {number} of {len(texts)} is not valid Unicode.") from None


def _slices(text: str) -> Iterator[tuple[int, int]]:
    """Cut a text before white space, with which many tokens begin; where there is none for long, anywhere."""
    begin = 0
    while len(text) - begin > _SLICE:
        most = begin + _SLICE
        space = max(text.rfind(" ", begin + 1, most), text.rfind("\n", begin + 1, most))
        end = space if space > 0 else most
        yield begin, end
        begin = end
    yield begin, len(text)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, as in a file name that is not UTF-8
        return False
    return True
