"""BM25 scores of whole documents: each has that of its best chunk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.generations.snapshot import Snapshot
from echo_index.retriever.evaluation.indexed_dataset import CHUNKS, MORE_CHUNKS
from echo_index.retriever.search.lexical import parse_lexical_query


class DocumentBM25:
    """The documents of a snapshot, by numbers, ranked by words."""

    def __init__(self, snapshot: Snapshot, numbers: Mapping[str, int]) -> None:
        self._snapshot = snapshot
        self._document_of: dict[int, int] = {}
        self._chunks_of: dict[int, list[int]] = defaultdict(list)
        ids = snapshot.catalog.chunk_ids(SearchFilter(), generation=snapshot.manifest.generation).tolist()
        for chunk_id, chunk in snapshot.stored_chunks(ids).items():
            number = numbers[chunk.path]
            self._document_of[chunk_id] = number
            self._chunks_of[number].append(chunk_id)

    def scores(self, query: str, also: Iterable[int]) -> dict[int, float]:
        """Return the scores of the best documents, as many as hybrid search takes of chunks, and of those in `also`."""
        words = parse_lexical_query(query, self._snapshot.languages())
        best: dict[int, float] = {}
        for chunk_id, score in self._snapshot.matching(words, k=MORE_CHUNKS, where=SearchFilter()):
            if len(best) < CHUNKS:
                best.setdefault(self._document_of[chunk_id], score)
        missing = {number: self._chunks_of[number] for number in also if number not in best}
        by_chunk = self._snapshot.scores(words, [chunk_id for chunks in missing.values() for chunk_id in chunks])
        return best | {number: max(by_chunk[chunk_id] for chunk_id in chunks) for number, chunks in missing.items()}
