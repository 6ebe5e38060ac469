"""The part of a large tokenizer that short texts need, read from a table on disk in milliseconds instead of a second.

Byte-pair encoding joins neighbours, so every token of a text, and every token on the way to it, stands in the text
letter by letter. A tokenizer that knows only the tokens that stand in a text cuts it as the whole one does.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from threading import Lock
from typing import Any

from tokenizers import Tokenizer
from tokenizers.normalizers import Normalizer
from tokenizers.pre_tokenizers import PreTokenizer

from echo_index.embeddings.runtime.cache import cache_folder, sha256_of, write_cached

_FORMAT = 1
_TABLES = """
    CREATE TABLE frame (json TEXT, longest INTEGER);
    CREATE TABLE tokens (text TEXT PRIMARY KEY, id INTEGER) WITHOUT ROWID;
    CREATE TABLE merges (result TEXT, rank INTEGER, one TEXT, other TEXT, PRIMARY KEY (result, rank)) WITHOUT ROWID;
"""


class PartialTokenizer:
    """Makes the excerpt of one tokenizer that given texts need. Thread-safe.

    Names of special tokens in the texts are text, as `Tokenizer.encode_special_tokens` has it.
    """

    def __init__(self, table: Path) -> None:
        self._connection = sqlite3.connect(f"{table.as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
        self._lock = Lock()
        frame, self._longest = self._connection.execute("SELECT json, longest FROM frame").fetchone()
        self._frame = json.loads(frame)
        bare = Tokenizer.from_str(json.dumps(self._with([], {}, [])))
        self._normalizer: Normalizer | None = bare.normalizer
        self._pre_tokenizer: PreTokenizer | None = bare.pre_tokenizer

    @classmethod
    def cached(cls, file: Path) -> PartialTokenizer | None:
        """Return the excerpts of a tokenizer.json whose table was written before; None where there is none."""
        table = _table_of(file)
        try:
            return cls(table) if table.exists() else None
        except (sqlite3.Error, TypeError, ValueError):  # damaged
            return None

    def tokenizer_for(self, texts: Sequence[str]) -> Tokenizer:
        """Return a tokenizer that encodes these texts, and perhaps no others, as the whole one does.

        Raises:
            OSError: the table is damaged.
        """
        added = [token for token in self._frame["added_tokens"] if any(token["content"] in text for text in texts)]
        pieces = set(self._pieces(texts, added))
        letters = self._found(sorted(set("".join(pieces))))
        # A letter without a token may be left out, and what stood on either side of it joined.
        known = {"".join(letter for letter in piece if letter in letters) for piece in pieces}
        found = self._found(sorted({part for piece in known for part in self._parts(piece)}))
        always = [token["content"] for token in added]
        if self._frame["model"].get("byte_fallback"):
            always += [f"<0x{byte:02X}>" for byte in range(256)]
        if self._frame["model"].get("unk_token") is not None:
            always.append(self._frame["model"]["unk_token"])
        merges = self._merges(list(found))
        return Tokenizer.from_str(json.dumps(self._with(added, found | self._found(always), merges)))

    def id_of(self, token: str) -> int | None:
        """Return the id of a token, None where there is none.

        Raises:
            OSError: the table is damaged.
        """
        return self._found([token]).get(token)

    def _with(self, added: list[Any], tokenizer: dict[str, int], merges: list[tuple[str, str]]) -> dict[str, Any]:
        model = self._frame["model"] | {"vocab": tokenizer, "merges": merges}
        whole: dict[str, Any] = self._frame | {"added_tokens": added, "model": model}
        return whole

    def _pieces(self, texts: Sequence[str], added: list[Any]) -> Iterator[str]:
        """Yield what the model is given of the texts: what is between added tokens, made ready and split."""
        longest_first = sorted((token["content"] for token in added), key=len, reverse=True)
        cut = re.compile("|".join(map(re.escape, longest_first)))
        for text in texts:
            for between in cut.split(text) if added else [text]:
                ready = self._normalizer.normalize_str(between) if self._normalizer else between
                if self._pre_tokenizer is None:
                    yield ready
                else:
                    yield from (piece for piece, _ in self._pre_tokenizer.pre_tokenize_str(ready))

    def _parts(self, piece: str) -> Iterator[str]:
        for begin in range(len(piece)):
            for end in range(begin + 1, min(len(piece), begin + self._longest) + 1):
                yield piece[begin:end]

    def _found(self, texts: list[str]) -> dict[str, int]:
        return dict(self._rows("SELECT text, id FROM tokens WHERE text IN (SELECT value FROM json_each(?))", texts))

    def _merges(self, results: list[str]) -> list[tuple[str, str]]:
        rows = self._rows(
            "SELECT one, other FROM merges WHERE result IN (SELECT value FROM json_each(?)) ORDER BY rank", results
        )
        return [(one, other) for one, other in rows]

    def _rows(self, query: str, texts: list[str]) -> list[Any]:
        try:
            with self._lock:
                return self._connection.execute(query, (json.dumps(texts),)).fetchall()
        except sqlite3.Error as error:
            raise OSError(str(error)) from None


def cache_partial_tokenizer(file: Path) -> None:
    """Write the table of a tokenizer.json into the cache folder, unless it is of a kind that gives no excerpts.

    Raises:
        OSError: it cannot be written.
    """
    frame = json.loads(file.read_text(encoding="utf-8"))
    frame["added_tokens"] = [token for token in frame.get("added_tokens", []) if not token["special"]]
    if not _gives_excerpts(frame):
        return
    tokenizer, merges = frame["model"].pop("vocab"), frame["model"].pop("merges")
    pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in merges)

    def write(table: Path) -> None:
        table.unlink(missing_ok=True)
        with closing(sqlite3.connect(table)) as connection, connection:
            connection.executescript(_TABLES)
            connection.execute("INSERT INTO frame VALUES (?, ?)", (json.dumps(frame), max(map(len, tokenizer))))
            connection.executemany("INSERT INTO tokens VALUES (?, ?)", sorted(tokenizer.items()))
            connection.executemany(
                "INSERT INTO merges VALUES (?, ?, ?, ?)",
                sorted((one + other, rank, one, other) for rank, (one, other) in enumerate(pairs)),
            )

    try:
        write_cached(_table_of(file), write)
    except sqlite3.Error as error:
        raise OSError(str(error)) from None


def _gives_excerpts(frame: dict[str, Any]) -> bool:
    """Say whether the letters of a token are all that decides about it."""
    model, flags = frame["model"], ("normalized", "single_word", "lstrip", "rstrip")
    return (
        model.get("type") == "BPE"
        and not any(model.get(name) for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"))
        and not any(token[flag] for token in frame["added_tokens"] for flag in flags)
    )


def _table_of(file: Path) -> Path:
    return cache_folder() / "tokens" / f"{sha256_of(file)}-{_FORMAT}.sqlite"
