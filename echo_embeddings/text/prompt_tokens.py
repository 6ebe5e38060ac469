"""Insert tokenized texts into prompts and return the token ids together with the spans to pool."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from echo_index.embeddings.text.echo_prompt import EchoPrompt, Slot
from echo_index.embeddings.text.tokenizer import ModelTokenizer
from echo_index.embeddings.vectors.layer_views import TextPass
from echo_index.errors import PromptError, TextError

_SLICE_CHARACTERS = 100_000


@dataclass(frozen=True, slots=True)
class EchoTokens:
    """Token ids of one text in its prompt, with the half-open span `[start, end)` to pool for the echo embedding.

    `first_copy` is the half-open span of the first copy of the text, None if the prompt contains the text once. The
    first `fixed` tokens come before the text: they are the same for all texts of one call.
    """

    ids: tuple[int, ...]
    start: int
    end: int
    first_copy: tuple[int, int] | None
    fixed: int = 0

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self.ids)

    def span(self, text_pass: TextPass) -> tuple[int, int]:
        """Return the half-open span of a copy of the text; the prompt must contain that copy."""
        if text_pass is TextPass.ECHO:
            return self.start, self.end
        assert self.first_copy is not None
        return self.first_copy


class PromptTokenizer:
    """Tokenizes the pieces of a prompt and the texts separately, so that the spans of the texts are exact.

    `max_tokens` is the maximum number of tokens of the instruction and of each copy of the text; the rest is cut off.

    Raises:
        TextError: `max_tokens` is less than 1.
    """

    def __init__(self, tokenizer: ModelTokenizer, *, max_tokens: int) -> None:
        if max_tokens < 1:
            raise TextError(f"max_tokens is {max_tokens}, but each copy of a text needs at least one token.")
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens

    def assemble(self, prompt: EchoPrompt, texts: Sequence[str], *, instruction: str | None = None) -> list[EchoTokens]:
        """Return the tokens of each text in the prompt, in the order of `texts`.

        Raises:
            TextError: a text has no tokens or is not valid Unicode.
            PromptError: the prompt takes an instruction but none is given, or it has `{end}` and the model has no end
                token.
        """
        literals = [piece for piece in prompt.pieces if isinstance(piece, str)]
        literal_ids = dict(zip(literals, token_ids(self._tokenizer, literals), strict=True))
        instruction_ids = token_ids(self._tokenizer, [_given_instruction(prompt, instruction)])[0][: self._max_tokens]
        if Slot.END in prompt.pieces and self._tokenizer.end_id is None:
            raise PromptError(f"The template {prompt.template!r} has {{end}}, but this model has no end token.")
        assembled = []
        for number, ids in enumerate(token_ids(self._tokenizer, texts)):
            if not ids:
                raise TextError(f"Text {number} of {len(texts)} is empty: there is nothing to embed.")
            assembled.append(self._fill(prompt, literal_ids, instruction_ids, ids[: self._max_tokens]))
        return assembled

    def assemble_queries(
        self, prompt: EchoPrompt, texts: Sequence[str], *, instruction: str | None, default: str
    ) -> list[EchoTokens]:
        """Return the tokens of each query in the prompt with an instruction, or with the default one for None.

        Raises:
            TextError: a text has no tokens or is not valid Unicode.
            PromptError: an instruction is given, but the prompt has no slot for it.
        """
        if instruction is not None and not prompt.takes_instruction:
            message = f"The query prompt {prompt.template!r} has no {{instruction}} slot."
            raise PromptError(message, remedy="Add the slot, or leave out the instruction.")
        return self.assemble(prompt, texts, instruction=default if instruction is None else instruction)

    def token_starts(self, text: str) -> Sequence[int]:
        """Return the character offset at which each token of `text` begins, in ascending order.

        A long text is tokenized in slices of at most 100,000 characters to save memory.
        """
        starts = array("I")
        for begin, end in _slices(text):
            encoding = self._tokenizer.encode_batch([text[begin:end]])[0]
            starts.extend(begin + start for start, _ in encoding.offsets)
        return starts

    def _fill(
        self, prompt: EchoPrompt, literals: dict[str, list[int]], instruction: Sequence[int], text: Sequence[int]
    ) -> EchoTokens:
        ids = [] if self._tokenizer.bos_id is None else [self._tokenizer.bos_id]
        start = end = 0
        first_copy = None
        for piece in prompt.pieces:
            match piece:
                case Slot.INSTRUCTION:
                    ids += instruction
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
                    ids += literals[piece]
        fixed = start if first_copy is None else first_copy[0]
        return EchoTokens(ids=tuple(ids), start=start, end=end, first_copy=first_copy, fixed=fixed)


def _given_instruction(prompt: EchoPrompt, instruction: str | None) -> str:
    if prompt.takes_instruction and instruction is None:
        raise PromptError(f"The template {prompt.template!r} takes an instruction, but none was given.")
    return instruction or ""


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
    """Yield the bounds of slices that begin with white space, as many tokens do, or anywhere if there is none."""
    begin = 0
    while len(text) - begin > _SLICE_CHARACTERS:
        limit = begin + _SLICE_CHARACTERS
        space = max(text.rfind(" ", begin + 1, limit), text.rfind("\n", begin + 1, limit))
        end = space if space > 0 else limit
        yield begin, end
        begin = end
    yield begin, len(text)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, as in a file name that is not UTF-8
        return False
    return True
