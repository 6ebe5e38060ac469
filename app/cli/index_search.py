"""Open the indexes that a command searches, and search them with its options."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from echo_index.app.cli.options import notice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from echo_index.embeddings.encoder_config import EncoderConfig
    from echo_index.indexer.catalog.records import SearchFilter
    from echo_index.retriever.search.hits import Hit
    from echo_index.retriever.search.retriever import Retriever
    from echo_index.retriever.search.searcher import Searcher


@dataclass(frozen=True)
class IndexSearch:
    """What a command searches: `find` returns the best hits of a query, duplicates grouped.

    `retrievers` are those of each index, the first of which has the encoder.
    """

    searcher: Searcher
    retrievers: tuple[Retriever, ...]
    find: Callable[[str], list[Hit]]

    @property
    def encoder(self) -> EncoderConfig:
        """The configuration of the encoder of the first index."""
        return self.retrievers[0].reader.manifest.encoder

    @property
    def indexes(self) -> list[Path]:
        """The folders of the indexes, or where they are in a store."""
        return [retriever.index_dir for retriever in self.retrievers]


def index_search(
    *,
    indexes: Sequence[Path],
    model: str | None,
    device: Literal["auto", "cpu", "cuda"],
    index_device: Literal["auto", "cpu", "gpu"],
    k: int,
    mode: Literal["hybrid", "dense", "lexical"],
    instruction: str | None,
    where: SearchFilter,
    rerank: int,
    exact: bool,
    min_score: float | None = None,
    at_once: bool = False,
) -> IndexSearch:
    """Open the indexes, given by their folders or the names of collections; several are searched as one.

    With `at_once`, queries are embedded without torch if possible.
    """
    if min_score is not None and mode == "lexical":
        raise typer.BadParameter("--min-score compares meanings, and --mode lexical does not; leave out one of them.")
    from echo_index.app.services.query_vector import QueryVectors

    vectors = QueryVectors(model=model, device=device, notice=notice) if at_once and mode != "lexical" else None
    from echo_index.app.services.collections import find_indexes
    from echo_index.retriever.search.collections_retriever import CollectionsRetriever
    from echo_index.retriever.search.retriever import Retriever
    from echo_index.retriever.search.searcher import validate_query

    retrievers = {
        name: Retriever.open(index, model=model, device=device, index_device=index_device, notice=notice)
        for name, index in find_indexes(indexes).items()
    }
    first = next(iter(retrievers.values()))
    searcher: Searcher = first if len(retrievers) == 1 else CollectionsRetriever(retrievers)
    if mode != "lexical":
        for retriever in retrievers.values():
            retriever.reader.load_early()  # while the model is loaded
    _report_unknown_paths([*retrievers.values()], where.paths)
    if where.where is not None:
        _report_unknown_fields([*retrievers.values()], where)

    def find(query: str) -> list[Hit]:
        validate_query(query, k)
        if vectors is None and mode != "lexical":
            from echo_index.embeddings.queries.query_weights import write_query_weights

            write_query_weights(searcher.encoder)
        search = partial(
            searcher.search,
            query,
            mode=mode,
            instruction=instruction,
            where=where,
            exact=exact,
            vector=None if vectors is None else vectors.vector(first, query, instruction=instruction),
        )
        hits = search(k=k, rerank=rerank, group=True, min_score=min_score)
        if min_score is not None and not hits:
            _report_best(search(k=1), min_score)
        return hits

    return IndexSearch(searcher, tuple(retrievers.values()), find)


def _report_best(best: list[Hit], min_score: float) -> None:
    """Say on standard error that no hit has the least score, and what the best one has."""
    reached = f"; the best one has {best[0].relevance:.2f}" if best and best[0].relevance is not None else ""
    notice(f"No passage reaches --min-score {min_score:g}{reached}.")


def _report_unknown_fields(retrievers: Sequence[Retriever], where: SearchFilter) -> None:
    """Say which fields of a condition no document of any index has, and which there are."""
    from echo_index.indexer.inspection.document_queries import unknown_fields

    found = [retriever.with_reader(lambda reader: unknown_fields(reader, where)) for retriever in retrievers]
    known = [*dict.fromkeys(name for _, names in found for name in names)]
    for name in found[0][0]:
        if all(name in unknown for unknown, _ in found):
            notice(f"No document has the field {name}; there are {', '.join(known)}.")


def _report_unknown_paths(retrievers: Sequence[Retriever], names: tuple[str, ...]) -> None:
    """Say which names match no document of any index."""
    from echo_index.indexer.catalog.document_names import named_documents
    from echo_index.indexer.inspection.document_queries import paths_with_archives

    if not names:
        return
    documents = [(retriever.with_reader(paths_with_archives), retriever.index_dir) for retriever in retrievers]
    for name in names:
        if not any(named_documents(name, paths, index) for paths, index in documents):
            notice(f"No document matches --path {name or repr(name)}.")
