"""On a node: say what it has."""

from __future__ import annotations

import platform
from importlib.metadata import version

from echo_index.errors import EngineError
from echo_index.indexer.distributed.part_store import PartStore
from echo_index.indexer.documents.formats import readers_version


def describe_node(parts: str, probe: str, ocr: bool) -> dict[str, str]:
    """Return the versions of echo-index and of the readers on this machine, and what is wrong with its parts."""
    facts = {"node": platform.node(), "version": version("echo-index"), "readers": readers_version(ocr=ocr)}
    try:
        store = PartStore(parts)
        if not store.holds(probe):
            return {**facts, "unshared": "yes"}
        store.delete(store.leave_probe())
    except EngineError as error:
        return {**facts, "trouble": error.message}
    return facts
