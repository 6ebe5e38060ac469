"""Insert tokenized texts into prompts and return the token ids together with the spans to pool."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from echo_index.embeddings.text.echo_prompt import EchoPrompt, Slot
from echo_index.embeddings.text.tokenizer import Encodings, ModelTokenizer
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

    A prompt with one copy that `is_joined` is tokenized as one string instead, as sentence-transformers does.

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
            PromptError: the prompt takes an instruction but none is given, or the model does not have the token of
                `{end}`.
        """
        end_ids = self._end_ids(prompt)
        instruction = _given_instruction(prompt, instruction) + prompt.after_instruction
        if prompt.is_joined:
            return self._assemble_joined(prompt, texts, instruction, end_ids)
        instruction_ids = token_ids(self._tokenizer, [instruction])[0][: self._max_tokens]
        literals = [piece for piece in prompt.pieces if isinstance(piece, str)]
        literal_ids = dict(zip(literals, token_ids(self._tokenizer, literals), strict=True))
        assembled = []
        for number, ids in enumerate(token_ids(self._tokenizer, texts)):
            if not ids:
                raise _empty_text(number, texts)
            assembled.append(self._fill(prompt, literal_ids, instruction_ids, ids[: self._max_tokens], end_ids))
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
        self,
        prompt: EchoPrompt,
        literals: dict[str, list[int]],
        instruction: Sequence[int],
        text: Sequence[int],
        end_ids: Sequence[int],
    ) -> EchoTokens:
        ids = self._begin_ids()
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
                    ids += end_ids
                    end = len(ids)
                case str():
                    ids += literals[piece]
        fixed = start if first_copy is None else first_copy[0]
        return EchoTokens(ids=tuple(ids), start=start, end=end, first_copy=first_copy, fixed=fixed)

    def _assemble_joined(
        self, prompt: EchoPrompt, texts: Sequence[str], instruction: str, end_ids: Sequence[int]
    ) -> list[EchoTokens]:
        """Tokenize each text together with the words before it; the span begins with the first token of the text."""
        before = "".join(
            self._cut(instruction) if piece is Slot.INSTRUCTION else piece
            for piece in prompt.pieces
            if isinstance(piece, str) or piece is Slot.INSTRUCTION
        )
        common_ids = token_ids(self._tokenizer, [before])[0]
        begin_ids, rows, starts = self._begin_ids(), [], []
        for number, encoding in enumerate(_encodings(self._tokenizer, [before + text for text in texts])):
            ids = encoding.ids
            start = next((at for at, (_, end) in enumerate(encoding.offsets) if end > len(before)), None)
            if start is None:
                raise _empty_text(number, texts)
            # A token across the boundary differs from text to text.
            common_ids = common_ids[: min(start, _common_length(common_ids, ids))]
            rows.append((*begin_ids, *ids[: start + self._max_tokens], *end_ids))
            starts.append(len(begin_ids) + start)
        fixed = len(begin_ids) + len(common_ids)
        return [
            EchoTokens(ids=ids, start=start, end=len(ids), first_copy=None, fixed=fixed)
            for ids, start in zip(rows, starts, strict=True)
        ]

    def _cut(self, text: str) -> str:
        """Return the beginning of a text that has at most `max_tokens` tokens."""
        [encoding] = _encodings(self._tokenizer, [text])
        return text if len(encoding.ids) <= self._max_tokens else text[: encoding.offsets[self._max_tokens - 1][1]]

    def _begin_ids(self) -> list[int]:
        return [] if self._tokenizer.bos_id is None else [self._tokenizer.bos_id]

    def _end_ids(self, prompt: EchoPrompt) -> list[int]:
        if Slot.END not in prompt.pieces:
            return []
        if prompt.end_token is None:
            end_id, missing = self._tokenizer.end_id, "no end token"
        else:
            end_id, missing = self._tokenizer.id_of(prompt.end_token), f"no token {prompt.end_token}"
        if end_id is None:
            raise PromptError(f"The template {prompt.template!r} has {{end}}, but this model has {missing}.")
        return [end_id]


def _common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many items two sequences have in common at their beginnings."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (left, right) in enumerate(pairs) if left != right), min(len(one), len(other)))


def _empty_text(number: int, texts: Sequence[str]) -> TextError:
    return TextError(f"Text {number} of {len(texts)} is empty: there is nothing to embed.")


def _given_instruction(prompt: EchoPrompt, instruction: str | None) -> str:
    if prompt.takes_instruction and instruction is None:
        raise PromptError(f"The template {prompt.template!r} takes an instruction, but none was given.")
    return instruction or ""


def token_ids(tokenizer: ModelTokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Return the token ids of each text, without special tokens.

    Raises:
        TextError: a text is not valid Unicode.
    """
    return [encoding.ids for encoding in _encodings(tokenizer, texts)]


def _encodings(tokenizer: ModelTokenizer, texts: Sequence[str]) -> Encodings:
    try:
        return tokenizer.encode_batch(texts)
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
