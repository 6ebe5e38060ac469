"""Run reading and embedding as one pipeline of Ray Data, whose coordinator is an actor on the cluster.

Ray runs a task again whose worker or node died. What is lost nevertheless is missing from the outcomes.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from typing import Any

from echo_index.indexer.distributed.cluster import Shares, head_node
from echo_index.indexer.distributed.hash_set import Prefixes
from echo_index.indexer.distributed.ray_library import load_ray
from echo_index.indexer.distributed.work import Piece, WorkItem, WorkSettings
from echo_index.indexer.distributed.workers import FileWorker, PassageWorker

_POLL_SECONDS = 0.2
_BLOCK_BYTES = 2**21  # of pickled documents between the workers: a large archive is embedded by several
_UNLIMITED = -1


class PipelineLost(Exception):
    """The coordinator died, or the cluster; what has been written stays."""


def run_pipeline(
    groups: Sequence[Sequence[Piece]],
    settings: WorkSettings,
    shares: Shares,
    *,
    known_keys: Prefixes,
    known_texts: Prefixes,
    on_wait: Callable[[], None],
) -> Generator[WorkItem, None, None]:
    """Yield what comes of groups, in any order; `on_wait` is called often, and may raise an error to stop.

    Raises:
        PipelineLost: the cluster or a part of it that cannot be replaced is gone.
    """
    ray = load_ray()
    head = head_node()
    where = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(head, soft=True) if head else "DEFAULT"
    actor = ray.remote(num_cpus=0, max_restarts=0)(Coordinator)
    items = [pickle.dumps(group) for group in groups]
    coordinator = actor.options(scheduling_strategy=where).remote(items, settings, shares, known_keys, known_texts)
    try:
        while (done := _wait_for(coordinator.take.remote(), on_wait)) is not None:
            yield from map(pickle.loads, done)
    except ray.exceptions.RayError as error:
        raise PipelineLost(str(error)) from error
    finally:
        with suppress(Exception):
            ray.kill(coordinator)


def _wait_for(reference: Any, on_wait: Callable[[], None]) -> Any:
    ray = load_ray()
    while not ray.wait([reference], timeout=_POLL_SECONDS)[0]:
        on_wait()
    return ray.get(reference)


class Coordinator:
    """The actor that runs the pipeline: in the cluster, as Ray Data cannot be run by a client from outside."""

    def __init__(
        self,
        items: Sequence[bytes],
        settings: WorkSettings,
        shares: Shares,
        known_keys: Prefixes,
        known_texts: Prefixes,
    ) -> None:
        """Describe the pipeline, which begins to run with the first `take`."""
        ray = load_ray()
        import ray.data as ray_data

        context = ray_data.DataContext.get_current()
        context.enable_progress_bars = False
        context.max_errored_blocks = _UNLIMITED
        context.target_max_block_size = _BLOCK_BYTES
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        keys, texts = ray.put(known_keys), ray.put(known_texts)
        dataset = ray_data.from_items([{"item": item} for item in items], override_num_blocks=len(items))
        dataset = dataset.map_batches(
            FileWorker,
            fn_constructor_args=(settings, _Loader(keys)),
            batch_size=None,
            compute=ray_data.ActorPoolStrategy(size=shares.readers),
            num_cpus=shares.reader_cpus,
            scheduling_strategy="SPREAD",
        )
        dataset = dataset.map_batches(
            PassageWorker,
            fn_constructor_args=(settings, shares.cores, _Loader(texts)),
            batch_size=None,
            compute=ray_data.ActorPoolStrategy(size=shares.encoders),
            num_cpus=shares.encoder_cpus,
            num_gpus=shares.encoder_gpus or None,
            scheduling_strategy="SPREAD",
        )
        self._dataset = dataset
        self._batches: Iterator[Any] | None = None

    def take(self) -> list[bytes] | None:
        """Return the next pickled items that are done; None after the last."""
        if self._batches is None:
            self._batches = iter(self._dataset.iter_batches(batch_size=None, prefetch_batches=0))
        batch = next(self._batches, None)
        return None if batch is None else [*map(bytes, batch["item"])]


class _Loader:
    """Loads an object from the store of its node, where it lies once for all workers."""

    def __init__(self, reference: Any) -> None:
        self._reference = reference

    def __call__(self) -> Any:
        return load_ray().get(self._reference)
