"""Choose where a build reads and embeds: on this machine, or on a cluster of Ray."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from echo_index.errors import EngineError

if TYPE_CHECKING:
    from echo_index.embeddings.runtime.devices import DeviceChoice
    from echo_index.indexer.building.engine import Engine

LOCAL_ENGINE = "local"
_RAY = "ray"


def choose_engine(name: str, *, parts: str | None, device: DeviceChoice, notice: Callable[[str], None]) -> Engine:
    """Return the engine of a name: "local", "ray", or "ray://HOST:PORT".

    `parts` is the place of the parts that a cluster writes.

    Raises:
        EngineError: there is no such engine, or the local one is given a place for parts.
    """
    kind, separator, address = name.partition("://")
    if kind == _RAY and (not separator or address):
        from echo_index.indexer.distributed.ray_engine import RayEngine

        return RayEngine(address or None, parts, device, notice)
    if name != LOCAL_ENGINE:
        raise EngineError(f"There is no engine {name!r}.", remedy="The engines are: local, ray, ray://HOST:PORT.")
    if parts is not None:
        raise EngineError(
            f"Only a cluster writes parts, to {parts} or elsewhere.", remedy="Add --engine ray, or leave out --parts."
        )
    from echo_index.indexer.building.engine import LOCAL

    return LOCAL
