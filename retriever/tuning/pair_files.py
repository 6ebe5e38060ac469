"""Read training pairs from JSON lines or tab-separated tables, and write them as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from echo_index.embeddings.runtime.atomic_write import replace_file
from echo_index.embeddings.training.pairs import TrainingPair
from echo_index.errors import EchoIndexError, SourceError
from echo_index.retriever.evaluation.record_reader import Line, read_json_lines, read_table

_COLUMNS = ("query", "positive")


def read_pairs(path: Path) -> list[TrainingPair]:
    """Read the pairs of a file in .jsonl, .tsv, .jsonl.gz or .tsv.gz.

    Each line has a query and a positive: a text that is relevant to it. Optional fields are a `negative` or a list of
    `negatives` (hard negatives), an `instruction` (the task in words), a `source`, and a `teacher_query` and a
    `teacher_positive` that a teacher reads instead. The pairs of a batch are of one source; the default source is the
    name of the file.

    Raises:
        SourceError: the file cannot be read, or a line is malformed; the message names file and line.
    """
    suffixes = [suffix for suffix in path.suffixes if suffix != ".gz"]
    match suffixes[-1:]:
        case [".jsonl"]:
            lines = read_json_lines(path)
        case [".tsv"]:
            lines = read_table(path, columns=_COLUMNS)
        case _:
            raise SourceError(f"{path} is not a file of pairs.", remedy="Use .jsonl, .tsv, .jsonl.gz or .tsv.gz.")
    default_source = path.name.removesuffix(".gz").rsplit(".", 1)[0]
    pairs = [_pair(line, default_source) for line in lines]
    if not pairs:
        raise SourceError(f"{path} has no pairs.")
    return pairs


def write_pairs(pairs: Iterable[TrainingPair], path: Path) -> None:
    """Write pairs to a file of JSON lines that `read_pairs` reads.

    Raises:
        EchoIndexError: the file cannot be written.
    """
    lines = []
    for pair in pairs:
        fields: dict[str, object] = {"query": pair.query, "positive": pair.positive, "source": pair.source}
        if pair.negatives:
            fields["negatives"] = pair.negatives
        optional = {
            "instruction": pair.instruction,
            "teacher_query": pair.teacher_query,
            "teacher_positive": pair.teacher_positive,
        }
        fields |= {name: text for name, text in optional.items() if text is not None}
        lines.append(json.dumps(fields, ensure_ascii=False) + "\n")
    try:
        replace_file(path, lambda unfinished: unfinished.write_text("".join(lines), encoding="utf-8"))
    except OSError as error:
        raise EchoIndexError(f"{path} cannot be written: {error.strerror}.") from None


def _pair(line: Line, default_source: str) -> TrainingPair:
    negatives = line.fields.get("negatives")
    if negatives is None:
        negative = line.text("negative", default="")
        negatives = [negative] if negative else []
    if not isinstance(negatives, list) or not all(isinstance(text, str) and text.strip() for text in negatives):
        raise line.error('has something other than texts under "negatives"')
    return TrainingPair(
        query=line.text("query"),
        positive=line.text("positive"),
        negatives=tuple(negatives),
        source=line.text("source", default=default_source),
        instruction=line.text("instruction", default="") or None,
        teacher_query=line.text("teacher_query", default="") or None,
        teacher_positive=line.text("teacher_positive", default="") or None,
    )
