"""Models for all tests: two real ones, loaded once, and a tiny one. No test uses the network or the user's cache."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports the hub's client
if "PYTEST_XDIST_WORKER" in os.environ and hasattr(os, "sched_setaffinity"):
    # each worker has cores of its own, before torch counts them: threads that wait for a core hold up all others
    worker = int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
    cores = sorted(os.sched_getaffinity(0))[worker :: int(os.environ["PYTEST_XDIST_WORKER_COUNT"])]
    os.sched_setaffinity(0, cores or os.sched_getaffinity(0))

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from platformdirs import user_cache_path

if TYPE_CHECKING:  # loads torch and transformers: seconds, which the process that starts the workers need not wait
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.embeddings.models.language_model import LanguageModel

_CACHE = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Give the run a cache and a data folder of its own; converted models, which take a minute each, stay.

    Those that the user's cache holds are linked, so that they are not converted again.
    """
    if hasattr(config, "workerinput"):  # the first process has set the variable for all
        config.stash[_CACHE] = os.environ["ECHO_INDEX_CACHE"]
        return
    assert config.cache is not None
    models = config.cache.mkdir("echo-index-models")
    users_models = Path(os.environ.get("ECHO_INDEX_CACHE") or user_cache_path("echo-index")) / "models"
    for folder in users_models.glob("*/"):
        if not (models / folder.name).exists():
            (models / folder.name).symlink_to(folder)
    own = Path(tempfile.mkdtemp(prefix="echo-index-tests-"))
    (own / "models").symlink_to(models)
    os.environ["ECHO_INDEX_CACHE"] = config.stash[_CACHE] = str(own)
    os.environ["ECHO_INDEX_DATA"] = str(own / "data")
    config.add_cleanup(lambda: shutil.rmtree(own, ignore_errors=True))


def _embedded_model(name: str, config: pytest.Config) -> LanguageModel:
    """Load a real model from the cache of this run, also if the first test that asks for it has a cache of its own."""
    from echo_index.embeddings.models.model_loading import load_model

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ECHO_INDEX_CACHE", config.stash[_CACHE])
        return load_model(name, device="cpu")


@pytest.fixture(scope="session")
def gemma(pytestconfig: pytest.Config) -> LanguageModel:
    """Return the default model, a base model with an end-of-sequence token."""
    return _embedded_model("gemma3-270m", pytestconfig)


@pytest.fixture(scope="session")
def smollm(pytestconfig: pytest.Config) -> LanguageModel:
    """Return the embedded chat model."""
    return _embedded_model("smollm2-135m-instruct", pytestconfig)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a random Llama with four layers."""
    from tiny_models import CHAT_TEMPLATE, llama_config, save_model

    return save_model(tmp_path_factory.mktemp("tiny") / "llama", llama_config(), chat_template=CHAT_TEMPLATE)


@pytest.fixture(scope="session")
def tiny_model(tiny_folder: Path) -> LanguageModel:
    """Return a random Llama with four layers: for everything that does not ask what a text means."""
    from echo_index.embeddings.models.model_loading import load_model

    return load_model(str(tiny_folder), device="cpu")


@pytest.fixture(scope="session")
def encoder(tiny_model: LanguageModel) -> EchoEncoder:
    """Return an encoder of the tiny model, with all defaults."""
    from echo_index.embeddings.encoder import EchoEncoder

    return EchoEncoder(tiny_model)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests of `any_model` with each architecture."""
    if "any_model" in metafunc.fixturenames:
        from tiny_models import ARCHITECTURES

        metafunc.parametrize("any_model", ARCHITECTURES, indirect=True, scope="module")


@pytest.fixture(scope="module")
def any_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    """Return a random model of each architecture, those that run on our layers and those that do not."""
    from tiny_models import ARCHITECTURES, save_model

    from echo_index.embeddings.models.model_loading import load_model

    folder = tmp_path_factory.mktemp(request.param)
    return load_model(str(save_model(folder, ARCHITECTURES[request.param]())), device="cpu")
