"""Choose the device on which vectors are searched. FAISS takes a fifth of a second to load: it is asked last."""

from __future__ import annotations

from echo_index.errors import DeviceError
from echo_index.indexer.vectors.placement import IndexDevice, Placement


def choose_placement(choice: IndexDevice = "auto", *, is_exact: bool = False) -> Placement:
    """Choose the device on which to search; an exact index is copied to a GPU only if that is asked for.

    Raises:
        DeviceError: `choice` is "gpu" and FAISS has no GPU.
    """
    if choice == "cpu":
        return Placement("cpu", "asked for")
    if choice == "auto" and is_exact:
        return Placement("cpu", "fast enough for so few passages")
    from echo_index.indexer.vectors.faiss_index import count_gpus, is_built_for_gpus

    if gpus := count_gpus():
        return Placement("gpu", f"FAISS sees {gpus} GPU{'s' if gpus > 1 else ''}")
    reason = "FAISS sees no GPU" if is_built_for_gpus() else "FAISS is built without GPU support"
    if choice == "gpu":
        raise DeviceError(f"The index cannot be searched on a GPU: {reason}.", remedy="Use --index-device cpu.")
    return Placement("cpu", reason)
