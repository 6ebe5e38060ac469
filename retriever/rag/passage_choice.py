"""Choose the passages that a model is given, of those that a search found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from echo_index.indexer.text.analyzer import split_words
from echo_index.indexer.text.language_detection import detect_language
from echo_index.retriever.rag.local_writer import LocalWriter, follows_instructions
from echo_index.retriever.rag.table_rows import read_tables
from echo_index.retriever.search.content_terms import content_terms, short_text_language
from echo_index.retriever.search.hits import Hit
from echo_index.retriever.search.lexical import codes_in
from echo_index.retriever.search.neighbours import join_neighbours

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

PASSAGES = 3
"""Passages that a model is given at least; base models do worse with more."""
MAX_PASSAGES = 8
"""Passages that are searched for where the question decides how many are given."""


def choose_passages(
    question: str, hits: Sequence[Hit], *, model: BaseChatModel | LocalWriter, k: int | None
) -> list[Hit]:
    """Return the passages to give to a model, best first, neighbours joined.

    Args:
        question: What was searched for.
        hits: What was found, best first: `k`, or MAX_PASSAGES if that is None.
        model: The model that writes the answer.
        k: How many passages it is given. None for PASSAGES and, if it follows instructions, those among the others that
            have a word of the question which no better one has: a comparison needs passages about both.
    """
    hits = _without_other_rows(question, hits)
    if k is not None:
        return join_neighbours(hits[:k])
    chosen = list(hits[:PASSAGES])
    if len(hits) > PASSAGES and follows_instructions(model):
        covered = set().union(*(_shared_words(question, hit) for hit in chosen))
        for hit in hits[PASSAGES:MAX_PASSAGES]:
            if more := _shared_words(question, hit) - covered:
                chosen.append(hit)
                covered |= more
    return join_neighbours(chosen)


def _without_other_rows(question: str, hits: Sequence[Hit]) -> list[Hit]:
    """Return the hits without parts of tables that lack the codes of the question, if other hits have one.

    The rows of a table are so alike that a small model takes a value from any of them.
    """
    codes = codes_in(question)
    named = [bool(codes & codes_in(" ".join((hit.title, *hit.headings, hit.full_text)))) for hit in hits]
    if not any(named):
        return [*hits]
    return [hit for hit, is_named in zip(hits, named, strict=True) if is_named or not read_tables(hit).rows]


def _shared_words(question: str, hit: Hit) -> set[str]:
    """Return the content words of the question that a hit has, compared by the stems of the language of the hit."""
    text = " ".join((hit.title, *hit.headings, hit.full_text))
    language = detect_language(text)
    terms, asked_in = {*content_terms(text, language)}, short_text_language(question)
    return {word for word in split_words(question) if terms & {*content_terms(word, language, written_in=asked_in)}}
