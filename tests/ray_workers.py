"""Workers in this process instead of on the nodes of a cluster."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import pytest

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.indexer.distributed import ray_engine
from echo_index.indexer.distributed.cluster import share_out
from echo_index.indexer.distributed.work import WorkItem
from echo_index.indexer.distributed.workers import FileWorker, PassageWorker, to_batch


class NeverEmbeds(EchoEncoder):
    """An encoder on the machine of the build that must leave the passages to the workers."""

    def encode_document_pairs(self, texts):  # type: ignore[no-untyped-def]
        assert not texts, "no worker has embedded this"
        return iter(())


@dataclass
class Workers:
    """Workers in this process. `change` may replace each item that they send, or raise an error."""

    rounds: int = 0
    read: list[str] = field(default_factory=list)
    embedded: int = 0
    change: Callable[[WorkItem], WorkItem | None] = lambda item: item

    def run(self, groups: Any, settings: Any, shares: Any, *, known_keys: Any, known_texts: Any, on_wait: Any) -> Any:
        self.rounds += 1
        reader = FileWorker(settings, lambda: known_keys)
        embedder = PassageWorker(settings, 1, lambda: known_texts)
        embed = embedder._embed

        def counting(documents: Any) -> Any:
            vectors = embed(documents)
            self.embedded += int(vectors.present.sum())
            return vectors

        embedder._embed = counting  # type: ignore[method-assign]

        def items() -> Iterator[WorkItem]:
            for group in groups:
                on_wait()
                for batch in reader(to_batch([group])):
                    changed = self.change(pickle.loads(batch["item"][0]))
                    if changed is not None:
                        self.read += [document.row.path for document in changed.documents]
                        yield pickle.loads(embedder(to_batch([changed]))["item"][0])

        return items()

    def replace_cluster(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let engines use these workers."""
        monkeypatch.setattr(ray_engine, "run_pipeline", self.run)
        monkeypatch.setattr(ray_engine, "connected", lambda address: nullcontext())
        monkeypatch.setattr(ray_engine, "validate_nodes", lambda store, settings: None)
        monkeypatch.setattr(ray_engine, "shares", lambda settings: share_out([2], gpus=0, settings=settings))
