"""A model's tokenizer, read straight from its folder. Texts are data: what looks like a special token in one is not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from tokenizers import Encoding, Tokenizer
from tokenizers.decoders import DecodeStream

from echo_embeddings.errors import ModelError


class Vocabulary:
    """Text to token ids and back. Thread-safe.

    `bos_id` is None where the model has no beginning-of-sequence token, `end_id` where it has no end token.
    """

    def __init__(self, tokenizer: Tokenizer, *, bos_id: int | None, end_id: int | None) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._lock = Lock()
        self.bos_id = bos_id
        self.end_id = end_id

    @classmethod
    def load(cls, folder: Path) -> Vocabulary:
        """Read tokenizer.json, or let transformers convert what the folder has instead.

        Raises:
            ModelError: there is no tokenizer in the folder that gives token offsets.
        """
        if not (folder / "tokenizer.json").exists():
            return cls._load_with_transformers(folder)
        try:
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            special = _special_tokens(folder)
        except Exception as error:  # noqa: BLE001 - tokenizers raises nothing narrower
            raise ModelError(f"The tokenizer in {folder} cannot be read: {error}.") from None
        return cls(
            tokenizer,
            bos_id=_id_of(tokenizer, special.get("bos_token")),
            end_id=_id_of(tokenizer, special.get("eos_token")),
        )

    @classmethod
    def _load_with_transformers(cls, folder: Path) -> Vocabulary:
        from transformers import AutoTokenizer

        try:
            converted = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, ImportError) as error:
            raise ModelError(f"The folder {folder} has no tokenizer that can be read: {error}.") from None
        if not converted.is_fast:
            raise ModelError(f"The tokenizer in {folder} gives no character offsets.", remedy="Add a tokenizer.json.")
        return cls(converted.backend_tokenizer, bos_id=converted.bos_token_id, end_id=converted.eos_token_id)

    def encode_batch(self, texts: Sequence[str], *, special_tokens: bool = False) -> list[Encoding]:
        """Tokenize; only where `special_tokens` is true, names such as `<bos>` in the text mean those tokens."""
        with self._lock:
            self._tokenizer.encode_special_tokens = not special_tokens
            return self._tokenizer.encode_batch(list(texts), add_special_tokens=False)

    def encode(self, text: str, *, special_tokens: bool = False) -> list[int]:
        """Return the token ids of one text."""
        return self.encode_batch([text], special_tokens=special_tokens)[0].ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids, special tokens left out."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)

    def decode_step(self, stream: DecodeStream, token: int) -> str:
        """Return the text that became complete with this token, '' while a character is still in pieces."""
        return stream.step(self._tokenizer, token) or ""


def _special_tokens(folder: Path) -> dict[str, object]:
    """Read the names of the special tokens; the newer file wins."""
    found: dict[str, object] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        path = folder / name
        if path.exists():
            found.update(json.loads(path.read_text(encoding="utf-8")))
    return found


def _id_of(tokenizer: Tokenizer, token: object) -> int | None:
    if isinstance(token, dict):  # older files keep a token with its properties
        token = token.get("content")
    return tokenizer.token_to_id(token) if isinstance(token, str) else None
