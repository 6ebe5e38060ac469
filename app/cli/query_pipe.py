"""The work of `search -`: read questions from standard input, and answer each as it comes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from rich.console import Console
from rich.text import Text

from echo_index.app.cli import output
from echo_index.app.services.json_fields import hit_fields
from echo_index.errors import PromptError, QuestionError, TextError

if TYPE_CHECKING:
    from echo_index.retriever.search.hits import Hit

FROM_INPUT = "-"
"""The question that stands for the lines of standard input."""


def read_queries(stream: BinaryIO) -> Iterator[str]:
    """Yield the lines that are not blank, each as soon as it is there."""
    for line in iter(stream.readline, b""):
        if query := line.decode("utf-8", errors="replace").lstrip("\ufeff").strip():
            yield query


def search_each(
    queries: Iterator[str],
    *,
    find: Callable[[str], list[Hit]],
    print_found: Callable[[str, list[Hit]], None],
    as_json: bool,
    out: Console,
    notice: Callable[[str], None],
) -> bool:
    """Print the hits of each query; return whether all could be searched for.

    In JSON, one line is the object of one query, with its passages or an error. A query that cannot be searched does
    not end the others.
    """
    all_searched = True
    for query in queries:
        try:
            hits = find(query)
        except (QuestionError, TextError, PromptError) as error:
            all_searched = False
            if as_json:
                _print_line(out, {"question": query, "passages": [], "error": str(error)})
            else:
                notice(f"{output.one_line(query)}: {error}")
            continue
        if as_json:
            _print_line(out, {"question": query, "passages": [hit_fields(hit) for hit in hits]})
        else:
            out.print(Text(f"> {output.one_line(query)}", style="bold"), soft_wrap=True)
            print_found(query, hits)
        out.file.flush()
    return all_searched


def _print_line(out: Console, value: Any) -> None:
    out.file.write(json.dumps(value, ensure_ascii=False) + "\n")
    out.file.flush()
