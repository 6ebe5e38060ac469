"""Translate the filters of LangChain's structured queries, as a self-query chain writes them, to conditions."""

from __future__ import annotations

from typing import Any

from langchain_core.structured_query import Comparator, Comparison, Operation, Operator, StructuredQuery, Visitor

from echo_index.errors import FilterError
from echo_index.indexer.conditions.dates import find_date
from echo_index.indexer.conditions.tree import (
    AllOf,
    AnyOf,
    Compares,
    Condition,
    Contains,
    Equals,
    Not,
    Operand,
    Order,
    folded,
    number_of,
)

_EQUALITIES = (Comparator.EQ, Comparator.NE, Comparator.IN, Comparator.NIN)
_ORDERS: dict[Comparator, Order] = {
    Comparator.LT: "<",
    Comparator.LTE: "<=",
    Comparator.GT: ">",
    Comparator.GTE: ">=",
}


class EchoTranslator(Visitor):
    """Translates a structured query of LangChain for `EchoRetriever`.

    `query, options = EchoTranslator().visit_structured_query(structured)`, then `retriever.invoke(query, **options)`.
    Raises a FilterError for a comparison that an index does not know, such as LIKE.
    """

    allowed_comparators = (*_EQUALITIES, *_ORDERS, Comparator.CONTAIN)
    allowed_operators = (Operator.AND, Operator.OR, Operator.NOT)

    def visit_operation(self, operation: Operation) -> Condition:
        """Return the condition that joins or negates others."""
        parts = tuple(self._condition(argument) for argument in operation.arguments)
        if operation.operator is Operator.NOT:
            return Not(parts[0] if len(parts) == 1 else AllOf(parts))
        return AllOf(parts) if operation.operator is Operator.AND else AnyOf(parts)

    def visit_comparison(self, comparison: Comparison) -> Condition:
        """Return the condition on one field."""
        field, comparator, value = folded(comparison.attribute), comparison.comparator, comparison.value
        if comparator in _ORDERS:
            return Compares(field, _ORDERS[comparator], _operand(value))
        if comparator is Comparator.CONTAIN:
            return Contains(field, _operand(value).text)
        if comparator in _EQUALITIES:
            values = value if isinstance(value, list | tuple | set) else [value]
            equals = AnyOf(tuple(Equals(field, _operand(each)) for each in values))
            return Not(equals) if comparator in (Comparator.NE, Comparator.NIN) else equals
        raise FilterError(
            f"An index cannot compare {comparison.attribute} by {comparator.value}.",
            remedy=f"It knows {', '.join(each.value for each in self.allowed_comparators)}.",
        )

    def visit_structured_query(self, structured_query: StructuredQuery) -> tuple[str, dict[str, Any]]:
        """Return the text to search for, and the options of the search."""
        options: dict[str, Any] = {}
        if structured_query.filter is not None:
            options["filter"] = self._condition(structured_query.filter)
        if structured_query.limit is not None:
            options["k"] = structured_query.limit
        return structured_query.query, options

    def _condition(self, part: Any) -> Condition:
        return self.visit_operation(part) if isinstance(part, Operation) else self.visit_comparison(part)


def _operand(value: object) -> Operand:
    """Return a value as it is compared; a date or a time is a mapping as LangChain parses it, or a text."""
    if isinstance(value, dict):
        value = next((value[kind] for kind in ("date", "datetime") if kind in value), value)
    text = str(value)
    return Operand(text, number_of(text), find_date(text), is_quoted=isinstance(value, str))
