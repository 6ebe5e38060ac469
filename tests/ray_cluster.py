"""A cluster of Ray with two nodes in processes of their own, one of which can be killed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
from ray.cluster_utils import Cluster

NODE = {"num_cpus": 2, "object_store_memory": 100 * 2**20}


class TwoNodes:
    """A cluster with a node that stays and one that can be killed."""

    def __init__(self) -> None:
        self._cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
        self._second: Any = None
        self.address = str(self._cluster.address)

    @property
    def has_second(self) -> bool:
        """Whether the second node runs."""
        return self._second is not None

    def start_second(self) -> None:
        """Start the second node if it does not run."""
        if self._second is None:
            self._second = self._cluster.add_node(**NODE)

    def kill_second(self) -> None:
        """End the second node and all that runs on it at once, as a power cut does."""
        [raylet] = self._second.all_processes["raylet"]
        processes = psutil.Process(raylet.process.pid).children(recursive=True)
        os.kill(raylet.process.pid, signal.SIGKILL)
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._cluster.remove_node(self._second, allow_graceful=False)
        self._second = None

    def shutdown(self) -> None:
        """End all nodes."""
        self._cluster.shutdown()


def catalog_content(index_dir: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of a catalog that tell what an index holds."""
    manifest = json.loads((index_dir / "manifest.json").read_text())
    tables = ("documents", "chunks", "vector_codes", "classical_codes")
    with closing(sqlite3.connect(index_dir / manifest["catalog_file"])) as catalog:
        return {table: catalog.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in tables}
