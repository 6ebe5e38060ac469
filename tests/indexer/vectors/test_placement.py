"""The device of a search: an exact index stays on the CPU, unless a GPU is asked for."""

from __future__ import annotations

import faiss
import pytest

from echo_index.errors import DeviceError
from echo_index.indexer.vectors import faiss_index
from echo_index.indexer.vectors.device_choice import choose_placement
from echo_index.indexer.vectors.placement import Placement


@pytest.mark.skipif(faiss.get_num_gpus() > 0, reason="there is a GPU")
def test_a_missing_gpu_is_an_error_if_it_was_requested() -> None:
    with pytest.raises(DeviceError, match=r"FAISS sees no GPU|built without GPU support") as caught:
        choose_placement("gpu", is_exact=True)
    assert caught.value.remedy == "Use --index-device cpu."
    assert choose_placement("auto").device == "cpu"
    assert choose_placement("auto").reason in caught.value.message


def test_the_cpu_can_be_requested() -> None:
    assert choose_placement("cpu") == Placement("cpu", "asked for")


def test_a_gpu_is_taken_for_an_approximate_index_or_if_it_is_requested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faiss_index, "count_gpus", lambda: 2)
    assert choose_placement("auto") == Placement("gpu", "FAISS sees 2 GPUs")
    assert choose_placement("gpu", is_exact=True).device == "gpu"
    assert choose_placement("auto", is_exact=True).device == "cpu"
