"""Embed the one query of a process that ends after it, without loading torch where that is possible."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from echo_index.embeddings.runtime.devices import DeviceChoice
    from echo_index.embeddings.vectors.vector_ops import Vectors
    from echo_index.retriever.search.retriever import Retriever


def single_query_vector(
    retriever: Retriever,
    query: str,
    *,
    instruction: str | None,
    model: str | None,
    device: DeviceChoice,
    notice: Callable[[str], None],
) -> Vectors:
    """Return the vector (dimension,) of a query for `Retriever.search`.

    Loading torch takes longer than all the rest of a search. The first query in int8 needs it, and leaves in the cache
    what later processes need to do without.

    Raises:
        EchoIndexError: the query is empty, or the model of the index cannot be loaded.
    """
    from echo_index.embeddings.queries.query_encoder import QueryEncoder
    from echo_index.embeddings.queries.query_weights import write_query_weights

    config = retriever.snapshot.manifest.encoder
    quick = None if device == "cuda" else QueryEncoder.from_config(config, model=model, notice=notice)
    if quick is not None:
        vectors = quick.encode_queries([query], instruction=instruction)
    else:
        encoder = retriever.encoder
        write_query_weights(encoder)
        vectors = encoder.encode_queries([query], instruction=instruction)
    return vectors.reshape(-1)
