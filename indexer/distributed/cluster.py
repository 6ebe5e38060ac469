"""Connect to a cluster of Ray, look at its nodes, and share them out among the workers of a build."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any
from warnings import catch_warnings, simplefilter

from echo_index.embeddings.runtime.devices import DeviceChoice
from echo_index.errors import DeviceError, EngineError
from echo_index.indexer.distributed.part_store import PartStore
from echo_index.indexer.distributed.ray_library import load_ray
from echo_index.indexer.distributed.work import WorkSettings

PREFIX = "ray://"
_ADDRESS = "RAY_ADDRESS"
_DEFAULT_PORT = 10001  # of the server for clients of Ray
_CONNECT_SECONDS = 5.0
_REPORT_SECONDS = 60.0
_MOST_CORES = 8  # of one encoder on a CPU: more give little
_READERS_OF_GPU = 8  # at most
_OBJECT_BYTES = 2**29  # for what is on its way between the workers of a cluster on one machine
_HEAD = "node:__internal_head__"


@dataclass(frozen=True, slots=True)
class Shares:
    """How many workers there are and what each of them gets; `cores` are the threads of an encoder.

    Ray restarts a worker whose node died on another one as soon as that has room.
    """

    encoders: int
    encoder_cpus: float
    encoder_gpus: float
    readers: int
    reader_cpus: float
    cores: int
    device: DeviceChoice
    idle_gpus: int = 0
    """GPUs that could be used in another precision."""


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connect to the cluster at an address, HOST or HOST:PORT of its server for clients, inside the `with` block.

    Without an address it is that of RAY_ADDRESS, else the one that runs on this machine, else one that is started for
    this block.

    Raises:
        MissingPackage: Ray is not installed.
        EngineError: nobody answers at the address, or it is another version of Ray or Python.
    """
    ray = load_ray()
    if ray.is_initialized():
        yield
        return
    wanted = f"{PREFIX}{_with_port(address)}" if address else os.environ.get(_ADDRESS)
    if wanted:
        _validate_answers(wanted)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "CRITICAL"}
    try:
        try:
            with catch_warnings():
                simplefilter("ignore")  # the error says the same
                ray.init(wanted or "auto", **quiet)
        except ConnectionError:
            if wanted:
                raise
            ray.init("local", include_dashboard=False, object_store_memory=_OBJECT_BYTES, **quiet)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        with suppress(Exception):
            ray.shutdown()
        reason = " ".join(str(error).split())[:300].rstrip(".")
        raise EngineError(
            f"The cluster {wanted or 'on this machine'} cannot be used: {reason}.",
            remedy="It needs the versions of Ray and Python of this machine; if it asks for a token, set "
            "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN.",
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _with_port(address: str) -> str:
    return address if ":" in address else f"{address}:{_DEFAULT_PORT}"


def _validate_answers(address: str) -> None:
    """Raise an error if nobody listens at HOST:PORT: Ray itself would wait for minutes."""
    host, _, port = address.removeprefix(PREFIX).rpartition(":")
    if not host or not port.isdecimal():
        return  # such as "auto", or a name that only Ray knows
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise EngineError(
            f"No cluster answers at {address}: {error}.",
            remedy="Start one there: ray start --head --ray-client-server-port=10001",
        ) from error


def validate_nodes(store: PartStore, settings: WorkSettings) -> None:
    """Check that every node has this version of echo-index and its readers, and shares the place of the parts.

    Raises:
        EngineError: a node does not, or does not answer.
    """
    ray = load_ray()
    probe = store.leave_probe()
    try:
        alive = [node for node in ray.nodes() if node["Alive"]]
        task = ray.remote(num_cpus=0, max_retries=0)(_node_report())
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        reports = {
            task.options(scheduling_strategy=here(node["NodeID"], soft=False)).remote(
                settings.parts, probe, settings.ocr
            ): str(node["NodeManagerAddress"])
            for node in alive
        }
        done, waiting = ray.wait([*reports], num_returns=len(reports), timeout=_REPORT_SECONDS)
        if waiting:
            raise EngineError(
                f"The node {reports[waiting[0]]} does not answer.", remedy="Look at its state: ray status"
            )
        for report in done:
            validate_report(reports[report], ray.get(report), settings)
    except ray.exceptions.RayError as error:
        raise EngineError(f"The nodes cannot be asked: {_first_line(error)}", remedy="Look at: ray status") from error
    finally:
        with suppress(EngineError):
            store.delete(probe)


def _node_report() -> Callable[[str, str, bool], dict[str, str]]:
    """Return a function that says what a node has. Ray sends it as a whole, as the node may lack echo-index."""

    def report(parts: str, probe: str, ocr: bool) -> dict[str, str]:
        import platform

        try:
            from echo_index.indexer.distributed.node_report import describe_node
        except ImportError as error:
            return {"node": platform.node(), "missing": str(error)}
        return describe_node(parts, probe, ocr)

    return report


def validate_report(address: str, report: dict[str, str], settings: WorkSettings) -> None:
    """Check what a node says of itself.

    Raises:
        EngineError: it has another version of echo-index or its readers, or does not share the place of the parts.
    """
    node = f"The node {address} ({report['node']})"
    own = version("echo-index")
    if "missing" in report:
        raise EngineError(
            f"{node} has no echo-index: {report['missing']}.", remedy=f"Install it there: pip install echo-index=={own}"
        )
    if report["version"] != own:
        raise EngineError(
            f"{node} has echo-index {report['version']}, this machine {own}.",
            remedy="Install the same version on all nodes.",
        )
    if report["readers"] != settings.readers:
        raise EngineError(
            f"{node} reads files with other readers than this machine: {report['readers']} instead of "
            f"{settings.readers}.",
            remedy="Install the same readers and the same OCR on all nodes, or build with --no-ocr.",
        )
    if "unshared" in report:
        raise EngineError(
            f"{node} does not see the folder {settings.parts} of this machine.",
            remedy="Name a place that all nodes share: --parts PLACE",
        )
    if "trouble" in report:
        raise EngineError(report["trouble"], remedy="Name a place that all nodes may write to: --parts PLACE")


def shares(settings: WorkSettings) -> Shares:
    """Return how the processors of the cluster are shared out: an encoder for each GPU, or for a group of cores.

    Raises:
        DeviceError: GPUs are wanted, and the cluster has none.
    """
    ray = load_ray()
    resources = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return share_out(
        [float(node.get("CPU", 0)) for node in resources],
        gpus=int(sum(node.get("GPU", 0) for node in resources)),
        settings=settings,
    )


def share_out(cpus: Sequence[float], *, gpus: int, settings: WorkSettings) -> Shares:
    """Return the shares for nodes with so many logical CPUs, and GPUs on all of them together.

    Raises:
        DeviceError: GPUs are wanted, and there is none.
    """
    if settings.device == "cuda" and not gpus:
        raise DeviceError(
            "The device cuda was asked for, but no node of the cluster has a GPU.", remedy="Use --device cpu."
        )
    with_cpus = [count for count in cpus if count > 0] or [1.0]
    if gpus and settings.device != "cpu" and settings.encoder["dtype"] != "int8":
        readers = max(1, min(_READERS_OF_GPU * gpus, int(sum(with_cpus)) - gpus))
        spare = max(0.25, (sum(with_cpus) - gpus) / readers)
        return Shares(gpus, 1.0, 1.0, readers, min(1.0, spare), int(max(1, min(with_cpus))), "cuda")
    group = min([float(_MOST_CORES), *with_cpus])
    count = sum(math.floor(node / group) for node in with_cpus)
    return Shares(
        count,
        group * 0.75,
        0.0,
        count,
        group * 0.25,
        max(1, int(group)),
        "cpu",
        0 if settings.device == "cpu" else gpus,
    )


def head_node() -> str | None:
    """Return the id of the node that the cluster cannot lose, if it is known."""
    nodes = load_ray().nodes()
    return next((str(node["NodeID"]) for node in nodes if _HEAD in node["Resources"]), None)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
