"""LangChain's structured queries become conditions, and EchoRetriever takes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from indexer_helpers import WordEncoder, build, write
from langchain_core.structured_query import Comparator, Comparison, Operation, Operator, StructuredQuery
from pydantic import ValidationError

from echo_index.errors import ConditionError, FilterError
from echo_index.indexer.conditions.tree import Fields, matches
from echo_index.retriever.rag.adapters import EchoRetriever
from echo_index.retriever.rag.structured_query import EchoTranslator
from echo_index.retriever.search.retriever import Retriever

PAPER: Fields = {
    "author": ["Ada Ng"],
    "year": [2024],
    "tags": ["ml"],
    "date": ["2024-05-17"],
    "draft": ["true"],
    "edition": ["1.10"],
}


def comparison(comparator: Comparator, attribute: str, value: object) -> Comparison:
    return Comparison(comparator=comparator, attribute=attribute, value=value)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (comparison(Comparator.EQ, "Author", "ada ng"), True),
        (comparison(Comparator.NE, "author", "Ada Ng"), False),
        (comparison(Comparator.GT, "year", 2023), True),
        (comparison(Comparator.GTE, "year", 2025), False),
        (comparison(Comparator.LT, "date", {"type": "date", "date": "2024-06-01"}), True),
        (comparison(Comparator.LTE, "date", "2024-05-16"), False),
        (comparison(Comparator.GT, "date", {"type": "datetime", "datetime": "2024-05-10T09:00:00Z"}), True),
        (comparison(Comparator.GT, "date", {"type": "datetime", "datetime": "2024-05-20T09:00:00Z"}), False),
        (comparison(Comparator.EQ, "draft", True), True),
        (comparison(Comparator.EQ, "edition", "1.1"), False),
        (comparison(Comparator.EQ, "edition", 1.1), True),
        (comparison(Comparator.CONTAIN, "tags", "ml"), True),
        (comparison(Comparator.IN, "year", [2023, 2024]), True),
        (comparison(Comparator.NIN, "year", [2023, 2024]), False),
    ],
)
def test_comparisons(part: Comparison, expected: bool) -> None:
    query, options = EchoTranslator().visit_structured_query(StructuredQuery(query="x", filter=part, limit=None))
    assert query == "x"
    assert [*options] == ["filter"]
    assert matches(options["filter"], PAPER) is expected
    negated = Operation(operator=Operator.NOT, arguments=[part])
    both = Operation(operator=Operator.AND, arguments=[part, comparison(Comparator.EQ, "year", 2024)])
    either = Operation(operator=Operator.OR, arguments=[part, comparison(Comparator.EQ, "year", 1)])
    for operation, meets in ((negated, not expected), (both, expected), (either, expected)):
        assert matches(part.accept(EchoTranslator()), PAPER) is expected
        assert matches(operation.accept(EchoTranslator()), PAPER) is meets


def test_a_comparison_that_is_not_known_is_an_error() -> None:
    with pytest.raises(FilterError, match="cannot compare author by like"):
        EchoTranslator().visit_comparison(comparison(Comparator.LIKE, "author", "%Ng%"))


@pytest.fixture
def retriever(tmp_path: Path) -> Retriever:
    write(
        tmp_path / "docs",
        ada="---\nauthor: Ada Ng\nyear: 2024\n---\nWhales sing.\n",
        ben="---\nauthor: Ben\nyear: 2020\n---\nWhales swim.\n",
    )
    encoder = WordEncoder()
    build(tmp_path / "docs", tmp_path / "index", encoder)
    return Retriever.open(tmp_path / "index", encoder=encoder, index_device="cpu")  # type: ignore[arg-type]


def authors(retriever: EchoRetriever, **options: object) -> set[str]:
    found = retriever.invoke("whales", **options)  # type: ignore[arg-type]
    return {Path(document.metadata["source"]).stem for document in found}


def test_the_retriever_filters_by_its_fields_and_by_those_of_a_call(retriever: Retriever) -> None:
    plain = EchoRetriever(retriever=retriever)
    assert authors(plain) == {"ada", "ben"}
    assert authors(plain, filter="year >= 2024") == {"ada"}
    _, options = EchoTranslator().visit_structured_query(
        StructuredQuery(query="whales", filter=comparison(Comparator.EQ, "author", "Ben"), limit=1)
    )
    assert options["k"] == 1
    assert authors(plain, **options) == {"ben"}
    assert authors(EchoRetriever(retriever=retriever, where="author = Ben")) == {"ben"}
    assert authors(EchoRetriever(retriever=retriever, where=options["filter"])) == {"ben"}
    assert authors(EchoRetriever(retriever=retriever, where="author = Ben"), filter="year > 2021") == set()
    assert authors(EchoRetriever(retriever=retriever, before="2000")) == set()
    assert authors(EchoRetriever(retriever=retriever, since="1 day")) == {"ada", "ben"}


def test_a_wrong_filter_is_an_error_at_once(retriever: Retriever) -> None:
    for options, error in (({"where": "year >"}, ConditionError), ({"since": "soon"}, FilterError)):
        with pytest.raises(error):
            EchoRetriever(retriever=retriever, **options)
    with pytest.raises(ValidationError):
        EchoRetriever(retriever=retriever, min_score=2)
    with pytest.raises(ConditionError):
        EchoRetriever(retriever=retriever).invoke("whales", filter="year >")
