"""What the Search tab searches for and how, as it stands in the address of the page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast, get_args
from urllib.parse import parse_qs, urlencode

from echo_index.app.defaults import DEFAULTS, TASKS
from echo_index.errors import QuestionError
from echo_index.retriever.search.searcher import Mode

MAX_RESULTS = 50
RERANK_COUNTS = (0, 10, 20, 50)
HIGHEST_MIN_SCORE = 0.99
_TASK = "Question answering"
_MAX_TEXT = 1_000  # characters of a value
_MAX_VALUES = 100  # of one name
_TEXTS = ("since", "before", "where")
_SEVERAL = {"collection": "collections", "folder": "folders", "format": "formats"}
"""The fields with several values, by their names in the address."""


@dataclass(frozen=True)
class SearchParameters:
    """A question and all that the Search tab can set beside it; `rerank` is 0 for none, `min_score` 0 for all."""

    question: str = ""
    task: str = TASKS[_TASK]
    mode: Mode = "hybrid"
    folders: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    since: str = ""
    before: str = ""
    where: str = ""
    count: int = DEFAULTS.page_results
    min_score: float = 0.0
    rerank: int = 0
    collections: tuple[str, ...] = ()

    @classmethod
    def from_inputs(
        cls,
        question: str,
        task: str | None,
        mode: Mode,
        collections: Sequence[str] | None,
        folders: Sequence[str],
        formats: Sequence[str],
        since: str | None,
        before: str | None,
        where: str | None,
        count: float,
        min_score: float,
        rerank: int,
    ) -> SearchParameters:
        """Return the parameters of the values of the tab's inputs, in their order; None is an input not yet used."""
        return cls(
            question=question,
            task=task or "",
            mode=mode,
            collections=tuple(collections or ()),
            folders=tuple(folders),
            formats=tuple(formats),
            since=(since or "").strip(),
            before=(before or "").strip(),
            where=(where or "").strip(),
            count=int(count),
            min_score=min_score,
            rerank=rerank,
        )

    @classmethod
    def from_query(cls, query: str) -> SearchParameters:
        """Return the parameters in the query of an address, `q=leave+days&mode=dense`; other names in it are ignored.

        Raises:
            QuestionError: a value is not one that the inputs can have.
        """
        values = query_values(query)
        parameters = question_only(query)
        if "task" in values:
            parameters = replace(parameters, task=TASKS.get(values["task"][-1], values["task"][-1]))
        if "mode" in values:
            parameters = replace(parameters, mode=cast(Mode, _one_of("mode", values, get_args(Mode))))
        if "rerank" in values:
            allowed = [str(count) for count in RERANK_COUNTS]
            parameters = replace(parameters, rerank=int(_one_of("rerank", values, allowed)))
        if "k" in values:
            count = _number("k", values, r"\d{1,3}", least=1, most=MAX_RESULTS)
            parameters = replace(parameters, count=int(count))
        if "min_score" in values:
            share = _number("min_score", values, r"\d?\.\d{1,20}|[01]", least=0, most=HIGHEST_MIN_SCORE)
            parameters = replace(parameters, min_score=share)
        others: dict[str, Any] = {name: values[name][-1].strip() for name in _TEXTS if name in values}
        others |= {field: tuple(values.get(name, ())) for name, field in _SEVERAL.items()}
        return replace(parameters, **others)

    def to_query(self) -> str:
        """Return the query of an address with all values that differ from the default."""
        tasks = {instruction: name for name, instruction in TASKS.items()}
        single = {
            "q": (self.question, ""),
            "task": (tasks.get(self.task, self.task), _TASK),
            "mode": (self.mode, SearchParameters.mode),
            "k": (str(self.count), str(SearchParameters.count)),
            "since": (self.since, ""),
            "before": (self.before, ""),
            "where": (self.where, ""),
            "min_score": (f"{self.min_score:g}", "0"),
            "rerank": (str(self.rerank), "0"),
        }
        pairs = [(name, value) for name, (value, default) in single.items() if value != default]
        pairs += [(name, value) for name, field in _SEVERAL.items() for value in getattr(self, field)]
        return urlencode(pairs)


def question_only(query: str) -> SearchParameters:
    """Return the question in the query of an address, with the defaults of everything else."""
    return SearchParameters(question=query_values(query).get("q", [""])[-1][: DEFAULTS.longest_question])


def query_values(query: str) -> dict[str, list[str]]:
    """Return the values of each name in the query of an address, those that are empty left out."""
    return {
        name: [value[: max(_MAX_TEXT, DEFAULTS.longest_question)] for value in values[:_MAX_VALUES]]
        for name, values in parse_qs(query.removeprefix("?")).items()
    }


def _one_of(name: str, values: dict[str, list[str]], allowed: Sequence[str]) -> str:
    value = values[name][-1]
    if value not in allowed:
        raise QuestionError(
            f"The address has {name}={value[:80]!r}.", remedy=f"Use {', '.join(allowed[:-1])} or {allowed[-1]}."
        )
    return value


def _number(name: str, values: dict[str, list[str]], pattern: str, *, least: float, most: float) -> float:
    value = values[name][-1]
    if not re.fullmatch(pattern, value, re.ASCII) or not least <= float(value) <= most:
        raise QuestionError(f"The address has {name}={value[:80]!r}.", remedy=f"Use a number from {least} to {most}.")
    return float(value)
