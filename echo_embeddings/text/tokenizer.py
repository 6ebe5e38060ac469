"""Load a model's tokenizer from its folder. Texts are data: the name of a special token in a text is plain text.

A large tokenizer takes a second to read. It is read only when more than a prompt and an answer are encoded and decoded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

from tokenizers import Encoding, Tokenizer
from tokenizers.decoders import DecodeStream

from echo_index.embeddings.runtime.cache import get_or_make
from echo_index.embeddings.text.partial_tokenizer import PartialTokenizer, table_name, write_table
from echo_index.errors import ModelError

Encodings = list[Encoding]
"""Tokens of texts, with the characters that each of them stands for."""

_LARGE = 5_000_000  # bytes of a tokenizer.json
_PARTIAL_CHARACTERS = 8_000  # about the passages for an answer; to read the full tokenizer takes twice as long
_PARTIAL_IDS = 1_000  # different tokens


class ModelTokenizer:
    """Encodes text to token ids and decodes them. Thread-safe.

    `bos_id` and `end_id` are None for a model without a beginning-of-sequence or an end-of-sequence token.
    """

    def __init__(
        self,
        read: Callable[[], Tokenizer],
        *,
        bos_id: int | None,
        end_id: int | None,
        partial: PartialTokenizer | None = None,
    ) -> None:
        self._read = read
        self._full: Tokenizer | None = None
        self._partial = partial
        self._partial_characters = _PARTIAL_CHARACTERS
        self._decoder: Tokenizer | None = None
        self._decoded: frozenset[int] = frozenset()
        self._lock = Lock()
        self._last: tuple[str, list[int]] | None = None
        self.bos_id = bos_id
        self.end_id = end_id

    @classmethod
    def load(cls, folder: Path) -> ModelTokenizer:
        """Read tokenizer.json; if there is none, let transformers convert the tokenizer files of the folder.

        Raises:
            ModelError: the folder has no tokenizer that gives character offsets.
        """
        file = folder / "tokenizer.json"
        if not file.exists():
            return cls._load_with_transformers(folder)
        try:
            special = _special_tokens(folder)

            def read_full() -> Tokenizer:
                return Tokenizer.from_file(str(file))

            def load_full() -> ModelTokenizer:
                full = read_full()
                return cls._with_special_ids(lambda: full, full.token_to_id, special)

            def load_partial(table: Path) -> ModelTokenizer:
                partial = PartialTokenizer(table)
                return cls._with_special_ids(read_full, partial.id_of, special, partial=partial)

            if file.stat().st_size < _LARGE:
                return load_full()
            return get_or_make(
                "tokens",
                table_name(file),
                read=load_partial,
                make=load_full,
                write=lambda table, _: write_table(file, table),
            )
        except Exception as error:  # noqa: BLE001 - tokenizers raises no narrower class
            raise ModelError(f"The tokenizer in {folder} cannot be read: {error}.") from None

    @classmethod
    def _with_special_ids(
        cls,
        read: Callable[[], Tokenizer],
        id_of: Callable[[str], int | None],
        special: dict[str, object],
        *,
        partial: PartialTokenizer | None = None,
    ) -> ModelTokenizer:
        bos_id, end_id = (_special_id(id_of, special.get(name)) for name in ("bos_token", "eos_token"))
        return cls(read, bos_id=bos_id, end_id=end_id, partial=partial)

    @classmethod
    def _load_with_transformers(cls, folder: Path) -> ModelTokenizer:
        from transformers import AutoTokenizer

        try:
            converted = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, ImportError) as error:
            raise ModelError(f"The folder {folder} has no tokenizer that can be read: {error}.") from None
        if not converted.is_fast:
            raise ModelError(f"The tokenizer in {folder} gives no character offsets.", remedy="Add a tokenizer.json.")
        full = converted.backend_tokenizer
        return cls(lambda: full, bos_id=converted.bos_token_id, end_id=converted.eos_token_id)

    def encode_batch(self, texts: Sequence[str], *, special_tokens: bool = False) -> Encodings:
        """Encode texts; names such as `<bos>` in them stand for special tokens only if `special_tokens` is true."""
        tokenizer = self.full() if special_tokens else self._sufficient_for(texts)
        with self._lock:
            tokenizer.encode_special_tokens = not special_tokens
            return tokenizer.encode_batch(list(texts), add_special_tokens=False)

    def id_of(self, token: str) -> int | None:
        """Return the id of a token by its name, or None if the model does not have it."""
        if self._full is None and self._partial is not None:
            with suppress(OSError):
                return self._partial.id_of(token)
        return self.full().token_to_id(token)

    def full(self) -> Tokenizer:
        """Return the full tokenizer, read at the first call."""
        with self._lock:
            if self._full is None:
                self._full = self._read()
                self._full.no_truncation()
                self._full.no_padding()
            return self._full

    def _sufficient_for(self, texts: Sequence[str]) -> Tokenizer:
        """Return a tokenizer for these texts: a partial one until `_PARTIAL_CHARACTERS` were encoded, then the full."""
        self._partial_characters -= sum(map(len, texts))
        if self._full is None and self._partial is not None and self._partial_characters >= 0:
            with suppress(OSError):
                return self._partial.tokenizer_for(texts)
        return self.full()

    def encode(self, text: str, *, special_tokens: bool = False) -> list[int]:
        """Return the token ids of one text."""
        if special_tokens:
            return self.encode_batch([text], special_tokens=True)[0].ids
        last = self._last  # a prompt is measured, and then encoded again to be read
        if last is None or last[0] != text:
            last = self._last = text, self.encode_batch([text])[0].ids
        return [*last[1]]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids without special tokens."""
        return self._sufficient_for_ids(ids).decode(list(ids), skip_special_tokens=True)

    def decode_step(self, stream: DecodeStream, token: int) -> str:
        """Add a token to the stream and return the text that it completes: '' while a character is incomplete."""
        return stream.step(self._sufficient_for_ids([token]), token) or ""

    def _sufficient_for_ids(self, ids: Sequence[int]) -> Tokenizer:
        """Return a tokenizer that decodes these ids and all earlier ones: a partial one for `_PARTIAL_IDS` of them."""
        with self._lock, suppress(OSError):
            decoded = self._decoded.union(ids)
            if self._full is None and self._partial is not None and len(decoded) <= _PARTIAL_IDS:
                if self._decoder is None or decoded != self._decoded:
                    self._decoder, self._decoded = self._partial.decoder_of(decoded), decoded
                return self._decoder
        return self.full()


def _special_tokens(folder: Path) -> dict[str, object]:
    """Read the special tokens; tokenizer_config.json, the newer format, takes precedence."""
    tokens: dict[str, object] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        path = folder / name
        if path.exists():
            tokens.update(json.loads(path.read_text(encoding="utf-8")))
    return tokens


def _special_id(id_of: Callable[[str], int | None], token: object) -> int | None:
    if isinstance(token, dict):  # older files store a token together with its properties
        token = token.get("content")
    return id_of(token) if isinstance(token, str) else None
