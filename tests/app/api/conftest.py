"""A server for programs, over an index of two documents by a tiny model, on a real port and without one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from api_server import client_of, running
from starlette.testclient import TestClient

from echo_index.app.api.application import make_api
from echo_index.app.services.index_service import IndexService, ServiceOptions
from echo_index.app.services.request_guard import LOOPBACK_NAMES
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.sources.source import Source


@pytest.fixture(scope="session")
def service(tiny_model: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> IndexService:
    """Return a service for an index of two documents; its model is loaded."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "notes").mkdir()
    (folder / "notes/fox.md").write_text("# The fox\n\nThe quick brown fox jumps over the lazy dog.\n")
    (folder / "notes/vow.md").write_text("# Wizards\n\nSeven wizards quietly judge my vow.\n")
    build_index([Source.parse(str(folder / "notes"))], folder / "index", encoder=EchoEncoder(tiny_model))
    service = IndexService(ServiceOptions(folder / "index", device="cpu", index_device="cpu"))
    service.warm()
    return service


@pytest.fixture(scope="session")
def index_encoder(service: IndexService) -> EchoEncoder:
    """Return the encoder of the index."""
    return service.with_retriever(lambda retriever: retriever.encoder)


@pytest.fixture(scope="session")
def program(service: IndexService) -> Iterator[TestClient]:
    """Return a client on this machine."""
    with client_of(make_api(service, hosts=LOOPBACK_NAMES)) as client:
        yield client


@pytest.fixture(scope="session")
def address(service: IndexService) -> Iterator[str]:
    """Return the address of a server on a real port."""
    with running(make_api(service, hosts=LOOPBACK_NAMES)) as served:
        yield served
