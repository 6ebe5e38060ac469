"""Encode and decode short texts with the needed part of a large tokenizer, read from SQLite within milliseconds.

Reading a whole tokenizer.json can take a second. Byte-pair encoding merges neighbors, so every token of a text, and
every intermediate token, is a substring of the text. A tokenizer that knows only the tokens which are substrings of a
text therefore encodes that text exactly as the full tokenizer does.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from threading import Lock
from typing import Any

from tokenizers import Tokenizer
from tokenizers.normalizers import Normalizer
from tokenizers.pre_tokenizers import PreTokenizer

from echo_index.embeddings.runtime.cache import sha256_of

_FORMAT = 3
_TABLES = """
    CREATE TABLE frame (json TEXT, longest INTEGER);
    CREATE TABLE tokens (text TEXT PRIMARY KEY, id INTEGER) WITHOUT ROWID;
    CREATE INDEX token_ids ON tokens (id);
    CREATE TABLE special (id INTEGER PRIMARY KEY);
    CREATE TABLE added (text TEXT PRIMARY KEY, id INTEGER) WITHOUT ROWID;
    CREATE TABLE merges (result TEXT, rank INTEGER, one TEXT, other TEXT, PRIMARY KEY (result, rank)) WITHOUT ROWID;
"""


class PartialTokenizer:
    """Builds small tokenizers for given texts or token ids from the table of a large one. Thread-safe.

    Names of special tokens in the texts count as plain text, as with `Tokenizer.encode_special_tokens`.

    Raises:
        sqlite3.Error, TypeError, ValueError: the table is missing or damaged.
    """

    def __init__(self, table: Path) -> None:
        self._connection = sqlite3.connect(f"{table.as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
        self._lock = Lock()
        frame, self._longest_token = self._connection.execute("SELECT json, longest FROM frame").fetchone()
        self._frame = json.loads(frame)
        empty = Tokenizer.from_str(json.dumps(self._complete_frame([], {}, [])))
        self._normalizer: Normalizer | None = empty.normalizer
        self._pre_tokenizer: PreTokenizer | None = empty.pre_tokenizer

    def tokenizer_for(self, texts: Sequence[str]) -> Tokenizer:
        """Return a tokenizer that encodes these texts as the full tokenizer does; it may not encode any others.

        Raises:
            OSError: the table is damaged.
        """
        added = [token for token in self._frame["added_tokens"] if any(token["content"] in text for text in texts)]
        pieces = set(self._pre_tokenized(texts, added))
        characters = self._token_ids(sorted(set("".join(pieces))))
        # The full tokenizer may drop a character that has no token and merge its neighbors.
        known = {"".join(character for character in piece if character in characters) for piece in pieces}
        vocabulary = self._token_ids(sorted({part for piece in known for part in self._substrings(piece)}))
        always = [token["content"] for token in added]
        if self._frame["model"].get("byte_fallback"):
            always += [f"<0x{byte:02X}>" for byte in range(256)]
        if self._frame["model"].get("unk_token") is not None:
            always.append(self._frame["model"]["unk_token"])
        merges = self._merges(list(vocabulary))
        frame = self._complete_frame(added, vocabulary | self._token_ids(always), merges)
        return Tokenizer.from_str(json.dumps(frame))

    def decoder_of(self, ids: Collection[int]) -> Tokenizer:
        """Return a tokenizer that decodes these ids as the full one does, without special tokens; it may lack others.

        Raises:
            OSError: the table is damaged.
        """
        added = [token for token in self._frame["added_tokens"] if token["id"] in ids]
        query = (
            "SELECT text, id FROM tokens WHERE id IN (SELECT value FROM json_each(?)) "
            "AND id NOT IN (SELECT id FROM special)"
        )
        return Tokenizer.from_str(json.dumps(self._complete_frame(added, dict(self._rows(query, [*ids])), [])))

    def id_of(self, token: str) -> int | None:
        """Return the id of a token, or None if the tokenizer does not have it.

        Raises:
            OSError: the table is damaged.
        """
        query = "SELECT text, id FROM added WHERE text IN (SELECT value FROM json_each(?))"
        return {**self._token_ids([token]), **dict(self._rows(query, [token]))}.get(token)

    def _complete_frame(
        self, added: list[Any], vocabulary: dict[str, int], merges: list[tuple[str, str]]
    ) -> dict[str, Any]:
        model = self._frame["model"] | {"vocab": vocabulary, "merges": merges}
        complete: dict[str, Any] = self._frame | {"added_tokens": added, "model": model}
        return complete

    def _pre_tokenized(self, texts: Sequence[str], added: list[Any]) -> Iterator[str]:
        """Yield the pieces that reach the byte-pair model: the text between added tokens, normalized and split."""
        longest_first = sorted((token["content"] for token in added), key=len, reverse=True)
        added_token = re.compile("|".join(map(re.escape, longest_first)))
        for text in texts:
            for between in added_token.split(text) if added else [text]:
                normalized = self._normalizer.normalize_str(between) if self._normalizer else between
                if self._pre_tokenizer is None:
                    yield normalized
                else:
                    yield from (piece for piece, _ in self._pre_tokenizer.pre_tokenize_str(normalized))

    def _substrings(self, piece: str) -> Iterator[str]:
        for begin in range(len(piece)):
            for end in range(begin + 1, min(len(piece), begin + self._longest_token) + 1):
                yield piece[begin:end]

    def _token_ids(self, texts: list[str]) -> dict[str, int]:
        return dict(self._rows("SELECT text, id FROM tokens WHERE text IN (SELECT value FROM json_each(?))", texts))

    def _merges(self, results: list[str]) -> list[tuple[str, str]]:
        rows = self._rows(
            "SELECT one, other FROM merges WHERE result IN (SELECT value FROM json_each(?)) ORDER BY rank", results
        )
        return [(left, right) for left, right in rows]

    def _rows(self, query: str, values: Sequence[str] | Sequence[int]) -> list[Any]:
        try:
            with self._lock:
                return self._connection.execute(query, (json.dumps(values),)).fetchall()
        except sqlite3.Error as error:
            raise OSError(str(error)) from None


def table_name(file: Path) -> str:
    """Return the file name that the table of a tokenizer.json has in the cache."""
    return f"{sha256_of(file)}-{_FORMAT}.sqlite"


def write_table(file: Path, table: Path) -> None:
    """Write the table of a tokenizer.json to a new file, or no file if partial tokenizers cannot replace this kind.

    Raises:
        OSError: the table cannot be written.
    """
    frame = json.loads(file.read_text(encoding="utf-8"))
    added = frame.get("added_tokens", [])
    frame["added_tokens"] = [token for token in added if not token["special"]]
    if not _depends_on_characters_only(frame):
        return
    vocabulary, merges = frame["model"].pop("vocab"), frame["model"].pop("merges")
    pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in merges)
    try:
        with closing(sqlite3.connect(table)) as connection, connection:
            connection.executescript(_TABLES)
            connection.execute("INSERT INTO frame VALUES (?, ?)", (json.dumps(frame), max(map(len, vocabulary))))
            special = [(token["id"],) for token in added if token["special"]]
            connection.executemany("INSERT OR IGNORE INTO special VALUES (?)", special)
            # Many tokenizers have special tokens beside the vocabulary; texts must not be encoded with them.
            names = [(token["content"], token["id"]) for token in added]
            connection.executemany("INSERT OR IGNORE INTO added VALUES (?, ?)", names)
            connection.executemany("INSERT INTO tokens VALUES (?, ?)", sorted(vocabulary.items()))
            connection.executemany(
                "INSERT INTO merges VALUES (?, ?, ?, ?)",
                sorted((left + right, rank, left, right) for rank, (left, right) in enumerate(pairs)),
            )
    except sqlite3.Error as error:
        raise OSError(str(error)) from None


def _depends_on_characters_only(frame: dict[str, Any]) -> bool:
    """Return whether a token is found wherever its characters stand, whatever surrounds them."""
    model, flags = frame["model"], ("normalized", "single_word", "lstrip", "rstrip")
    return (
        model.get("type") == "BPE"
        and not any(model.get(name) for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"))
        and not any(token[flag] for token in frame["added_tokens"] for flag in flags)
    )
