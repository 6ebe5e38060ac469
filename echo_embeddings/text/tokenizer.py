"""A model's tokenizer, read straight from its folder. Texts are data: what looks like a special token in one is not.

A large one takes a second to read: it is read when more is asked for than a few questions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

from tokenizers import Encoding, Tokenizer
from tokenizers.decoders import DecodeStream

from echo_index.embeddings.text.partial_tokenizer import PartialTokenizer, cache_partial_tokenizer
from echo_index.errors import ModelError

_LARGE = 5_000_000  # bytes of a tokenizer.json
_FEW = 2_000  # characters: ten questions in their prompts


class ModelTokenizer:
    """Text to token ids and back. Thread-safe.

    `bos_id` is None where the model has no beginning-of-sequence token, `end_id` where it has no end token.
    """

    def __init__(
        self,
        read: Callable[[], Tokenizer],
        *,
        bos_id: int | None,
        end_id: int | None,
        excerpts: PartialTokenizer | None = None,
    ) -> None:
        self._read = read
        self._whole: Tokenizer | None = None
        self._excerpts = excerpts
        self._left_of_few = _FEW
        self._lock = Lock()
        self.bos_id = bos_id
        self.end_id = end_id

    @classmethod
    def load(cls, folder: Path) -> ModelTokenizer:
        """Read tokenizer.json, or let transformers convert what the folder has instead.

        Raises:
            ModelError: there is no tokenizer in the folder that gives token offsets.
        """
        file = folder / "tokenizer.json"
        if not file.exists():
            return cls._load_with_transformers(folder)
        large = file.stat().st_size >= _LARGE

        def read() -> Tokenizer:
            return Tokenizer.from_file(str(file))

        try:
            special = _special_tokens(folder)
            if large and (excerpts := PartialTokenizer.cached(file)):
                with suppress(OSError):  # damaged: the whole is read, and the table written again
                    return cls._with_ids(read, excerpts.id_of, special, excerpts=excerpts)
            whole = read()
        except Exception as error:  # noqa: BLE001 - tokenizers raises nothing narrower
            raise ModelError(f"The tokenizer in {folder} cannot be read: {error}.") from None
        if large:
            with suppress(OSError):  # a cache that cannot be written: the whole is read next time too
                cache_partial_tokenizer(file)
        return cls._with_ids(lambda: whole, whole.token_to_id, special)

    @classmethod
    def _with_ids(
        cls,
        read: Callable[[], Tokenizer],
        find: Callable[[str], int | None],
        special: dict[str, object],
        *,
        excerpts: PartialTokenizer | None = None,
    ) -> ModelTokenizer:
        bos_id, end_id = (_id_of(find, special.get(name)) for name in ("bos_token", "eos_token"))
        return cls(read, bos_id=bos_id, end_id=end_id, excerpts=excerpts)

    @classmethod
    def _load_with_transformers(cls, folder: Path) -> ModelTokenizer:
        from transformers import AutoTokenizer

        try:
            converted = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, ImportError) as error:
            raise ModelError(f"The folder {folder} has no tokenizer that can be read: {error}.") from None
        if not converted.is_fast:
            raise ModelError(f"The tokenizer in {folder} gives no character offsets.", remedy="Add a tokenizer.json.")
        whole = converted.backend_tokenizer
        return cls(lambda: whole, bos_id=converted.bos_token_id, end_id=converted.eos_token_id)

    def encode_batch(self, texts: Sequence[str], *, special_tokens: bool = False) -> list[Encoding]:
        """Tokenize; only where `special_tokens` is true, names such as `<bos>` in the text mean those tokens."""
        tokenizer = self.whole() if special_tokens else self._enough_for(texts)
        with self._lock:
            tokenizer.encode_special_tokens = not special_tokens
            return tokenizer.encode_batch(list(texts), add_special_tokens=False)

    def whole(self) -> Tokenizer:
        """Return the whole tokenizer, read at the first call."""
        with self._lock:
            if self._whole is None:
                self._whole = self._read()
                self._whole.no_truncation()
                self._whole.no_padding()
            return self._whole

    def _enough_for(self, texts: Sequence[str]) -> Tokenizer:
        """Return a tokenizer that knows these texts; the whole one, once more was asked for than little."""
        self._left_of_few -= sum(map(len, texts))
        if self._whole is None and self._excerpts is not None and self._left_of_few >= 0:
            with suppress(OSError):
                return self._excerpts.tokenizer_for(texts)
        return self.whole()

    def encode(self, text: str, *, special_tokens: bool = False) -> list[int]:
        """Return the token ids of one text."""
        return self.encode_batch([text], special_tokens=special_tokens)[0].ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids, special tokens left out."""
        return self.whole().decode(list(ids), skip_special_tokens=True)

    def decode_step(self, stream: DecodeStream, token: int) -> str:
        """Return the text that became complete with this token, '' while a character is still in pieces."""
        return stream.step(self.whole(), token) or ""


def _special_tokens(folder: Path) -> dict[str, object]:
    """Read the names of the special tokens; the newer file wins."""
    found: dict[str, object] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        path = folder / name
        if path.exists():
            found.update(json.loads(path.read_text(encoding="utf-8")))
    return found


def _id_of(find: Callable[[str], int | None], token: object) -> int | None:
    if isinstance(token, dict):  # older files keep a token with its properties
        token = token.get("content")
    return find(token) if isinstance(token, str) else None
