"""Embed queries without torch where that is possible: for processes that answer at once, and ask little."""

from __future__ import annotations

import os
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from echo_index.embeddings.queries.query_encoder import QueryEncoder
    from echo_index.embeddings.runtime.devices import DeviceChoice
    from echo_index.embeddings.vectors.vector_ops import Vectors
    from echo_index.retriever.search.retriever import Retriever


class QueryVectors:
    """Embeds the queries of a process. Thread-safe.

    Loading torch takes longer than all the rest of a search. A build in int8 leaves in the cache what a search needs to
    do without; where it is missing, the first query loads torch and leaves it. Create this before NumPy is imported.
    """

    def __init__(self, *, model: str | None, device: DeviceChoice, notice: Callable[[str], None]) -> None:
        self._model = model
        self._device = device
        self._notice = notice
        self._lock = Lock()
        self._fingerprint = ""
        self._quick: QueryEncoder | None = None
        # NumPy's own threads wait for each other in a loop, which takes many times as long if other programs run.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    def vector(self, retriever: Retriever, query: str, *, instruction: str | None) -> Vectors | None:
        """Return the vector (dimension,) of a query for `Retriever.search`, or None where that embeds it itself.

        Raises:
            EchoIndexError: the query is empty, or the model of the index cannot be loaded.
        """
        with self._lock:
            quick = self._quick_encoder(retriever)
            return None if quick is None else quick.encode_queries([query], instruction=instruction).reshape(-1)

    def _quick_encoder(self, retriever: Retriever) -> QueryEncoder | None:
        """Return the encoder without torch for the newest generation, or None if there is none."""
        from echo_index.embeddings.queries.query_encoder import QueryEncoder
        from echo_index.embeddings.queries.query_weights import write_query_weights

        if self._device == "cuda" or retriever.has_encoder:
            return None
        manifest = retriever.reader.manifest
        if manifest.fingerprint != self._fingerprint:
            self._quick = QueryEncoder.from_config(manifest.encoder, model=self._model, notice=self._notice)
            if self._quick is None:
                write_query_weights(retriever.encoder)
            self._fingerprint = manifest.fingerprint
        return self._quick
