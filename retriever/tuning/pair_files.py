"""Files of training pairs, JSON lines or tables. Knows no model."""

from __future__ import annotations

from pathlib import Path

from echo_index.embeddings.training.pairs import TrainingPair
from echo_index.errors import SourceError
from echo_index.retriever.evaluation.record_reader import Line, json_lines, table_lines

_COLUMNS = ("query", "positive")


def read_pairs(path: Path) -> list[TrainingPair]:
    """Read the pairs of a file, which may be compressed: its name ends in .jsonl, .tsv, .jsonl.gz or .tsv.gz.

    Each line has a query and a positive, what is right for it; and, where there is any, a negative or a list of
    negatives, which look right and are not, an instruction, the task in words, and the source that it comes from. Pairs
    of one source are told apart in one batch; what names no source is of the file's own.

    Raises:
        SourceError: the file cannot be read, or a line is no pair; the message names file and line.
    """
    suffixes = [suffix for suffix in path.suffixes if suffix != ".gz"]
    match suffixes[-1:]:
        case [".jsonl"]:
            lines = json_lines(path)
        case [".tsv"]:
            lines = table_lines(path, columns=_COLUMNS)
        case _:
            raise SourceError(f"{path} is no file of pairs.", remedy="Its name ends in .jsonl or .tsv, and .gz or not.")
    own = path.name.removesuffix(".gz").rsplit(".", 1)[0]
    pairs = [_pair(line, own) for line in lines]
    if not pairs:
        raise SourceError(f"{path} has no pairs.")
    return pairs


def _pair(line: Line, own: str) -> TrainingPair:
    named = line.fields.get("negatives")
    if named is None:
        one = line.text("negative", default="")
        named = [one] if one else []
    if not isinstance(named, list) or not all(isinstance(each, str) and each.strip() for each in named):
        raise line.error('has something else than texts under "negatives"')
    return TrainingPair(
        query=line.text("query"),
        positive=line.text("positive"),
        negatives=tuple(named),
        source=line.text("source", default=own),
        instruction=line.text("instruction", default="") or None,
    )
